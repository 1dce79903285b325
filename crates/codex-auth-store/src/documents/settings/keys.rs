//! Owns every setting in one table: its default, its bounds and the variable that stands above the file.

use super::value::Kind;

/// No upper bound but what a number of the file can hold.
const MOST: i64 = i64::MAX;

/// How accounts are chosen, in the spellings that are in use.
const STRATEGIES: &[&str] =
    &["hybrid", "sequential", "round_robin", "sticky", "drain_first", "manual", "round-robin", "drain-first"];

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// The variables above it, the first one first.
    pub variables: &'static [&'static str],
}

const fn key(name: &'static str, kind: Kind, variables: &'static [&'static str]) -> Key {
    Key { name, kind, variables }
}

/// Settings of the router and its clients: the section `pluginConfig`.
#[rustfmt::skip]
pub const PLUGIN: &[Key] = &[
    key("codexMode", Kind::Flag(true), &["CODEX_MODE"]),
    key("codexRuntimeRotationProxy", Kind::Flag(true), &["CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY"]),
    key("codexTuiV2", Kind::Flag(true), &["CODEX_TUI_V2"]),
    key("codexTuiColorProfile", Kind::Word("truecolor", &["truecolor", "ansi16", "ansi256"]), &["CODEX_TUI_COLOR_PROFILE"]),
    key("codexTuiGlyphMode", Kind::Word("ascii", &["ascii", "unicode", "auto"]), &["CODEX_TUI_GLYPHS"]),
    key("fastSession", Kind::Flag(false), &["CODEX_AUTH_FAST_SESSION"]),
    key("fastSessionStrategy", Kind::Word("hybrid", &["hybrid", "always"]), &["CODEX_AUTH_FAST_SESSION_STRATEGY"]),
    key("fastSessionMaxInputItems", Kind::Whole(30, 8, 200), &["CODEX_AUTH_FAST_SESSION_MAX_INPUT_ITEMS"]),
    key("retryAllAccountsRateLimited", Kind::Flag(false), &["CODEX_AUTH_RETRY_ALL_RATE_LIMITED"]),
    key("retryAllAccountsMaxWaitMs", Kind::Whole(0, 0, MOST), &["CODEX_AUTH_RETRY_ALL_MAX_WAIT_MS"]),
    key("retryAllAccountsMaxRetries", Kind::Whole(0, 0, MOST), &["CODEX_AUTH_RETRY_ALL_MAX_RETRIES"]),
    key("unsupportedCodexPolicy", Kind::Word("strict", &["strict", "fallback"]), &["CODEX_AUTH_UNSUPPORTED_MODEL_POLICY"]),
    key("fallbackOnUnsupportedCodexModel", Kind::Flag(false), &["CODEX_AUTH_FALLBACK_UNSUPPORTED_MODEL"]),
    key("fallbackToGpt52OnUnsupportedGpt53", Kind::Flag(true), &["CODEX_AUTH_FALLBACK_GPT53_TO_GPT52"]),
    key("unsupportedCodexFallbackChain", Kind::Lists, &[]),
    key("tokenRefreshSkewMs", Kind::Whole(60_000, 0, MOST), &["CODEX_AUTH_TOKEN_REFRESH_SKEW_MS"]),
    key("rateLimitToastDebounceMs", Kind::Whole(60_000, 0, MOST), &["CODEX_AUTH_RATE_LIMIT_TOAST_DEBOUNCE_MS"]),
    key("toastDurationMs", Kind::Whole(5000, 1000, MOST), &["CODEX_AUTH_TOAST_DURATION_MS"]),
    key("perProjectAccounts", Kind::Flag(true), &["CODEX_AUTH_PER_PROJECT_ACCOUNTS"]),
    key("sessionRecovery", Kind::Flag(true), &["CODEX_AUTH_SESSION_RECOVERY"]),
    key("autoResume", Kind::Flag(true), &["CODEX_AUTH_AUTO_RESUME"]),
    key("parallelProbing", Kind::Flag(false), &["CODEX_AUTH_PARALLEL_PROBING"]),
    key("parallelProbingMaxConcurrency", Kind::Whole(2, 1, 5), &["CODEX_AUTH_PARALLEL_PROBING_MAX_CONCURRENCY"]),
    key("emptyResponseMaxRetries", Kind::Whole(2, 0, MOST), &["CODEX_AUTH_EMPTY_RESPONSE_MAX_RETRIES"]),
    key("emptyResponseRetryDelayMs", Kind::Whole(1000, 0, MOST), &["CODEX_AUTH_EMPTY_RESPONSE_RETRY_DELAY_MS"]),
    key("rateLimitDedupWindowMs", Kind::Whole(2000, 0, MOST), &["CODEX_AUTH_RATE_LIMIT_DEDUP_WINDOW_MS"]),
    key("rateLimitStateResetMs", Kind::Whole(120_000, 1000, MOST), &["CODEX_AUTH_RATE_LIMIT_STATE_RESET_MS"]),
    key("rateLimitMaxBackoffMs", Kind::Whole(60_000, 1000, MOST), &["CODEX_AUTH_RATE_LIMIT_MAX_BACKOFF_MS"]),
    key("rateLimitShortRetryThresholdMs", Kind::Whole(5000, 0, MOST), &["CODEX_AUTH_RATE_LIMIT_SHORT_RETRY_THRESHOLD_MS"]),
    key("pidOffsetEnabled", Kind::Flag(true), &["CODEX_AUTH_PID_OFFSET_ENABLED"]),
    key("fetchTimeoutMs", Kind::Whole(60_000, 1000, MOST), &["CODEX_AUTH_FETCH_TIMEOUT_MS"]),
    key("streamStallTimeoutMs", Kind::Whole(45_000, 1000, MOST), &["CODEX_AUTH_STREAM_STALL_TIMEOUT_MS"]),
    key("liveAccountSync", Kind::Flag(true), &["CODEX_AUTH_LIVE_ACCOUNT_SYNC"]),
    key("liveAccountSyncDebounceMs", Kind::Whole(250, 50, MOST), &["CODEX_AUTH_LIVE_ACCOUNT_SYNC_DEBOUNCE_MS"]),
    key("liveAccountSyncPollMs", Kind::Whole(2000, 500, MOST), &["CODEX_AUTH_LIVE_ACCOUNT_SYNC_POLL_MS"]),
    key("sessionAffinity", Kind::Flag(true), &["CODEX_AUTH_SESSION_AFFINITY"]),
    key("sessionAffinityTtlMs", Kind::Whole(1_200_000, 1000, MOST), &["CODEX_AUTH_SESSION_AFFINITY_TTL_MS"]),
    key("sessionAffinityMaxEntries", Kind::Whole(512, 8, MOST), &["CODEX_AUTH_SESSION_AFFINITY_MAX_ENTRIES"]),
    key("responseContinuation", Kind::Flag(false), &["CODEX_AUTH_RESPONSE_CONTINUATION"]),
    key("backgroundResponses", Kind::Flag(false), &["CODEX_AUTH_BACKGROUND_RESPONSES"]),
    key("proactiveRefreshGuardian", Kind::Flag(true), &["CODEX_AUTH_PROACTIVE_GUARDIAN"]),
    key("proactiveRefreshIntervalMs", Kind::Whole(60_000, 5000, MOST), &["CODEX_AUTH_PROACTIVE_GUARDIAN_INTERVAL_MS"]),
    key("proactiveRefreshBufferMs", Kind::Whole(300_000, 30_000, MOST), &["CODEX_AUTH_PROACTIVE_GUARDIAN_BUFFER_MS"]),
    key("networkErrorCooldownMs", Kind::Whole(6000, 0, MOST), &["CODEX_AUTH_NETWORK_ERROR_COOLDOWN_MS"]),
    key("serverErrorCooldownMs", Kind::Whole(4000, 0, MOST), &["CODEX_AUTH_SERVER_ERROR_COOLDOWN_MS"]),
    key("tokenInvalidationCooldownMs", Kind::Whole(300_000, 0, MOST), &["CODEX_AUTH_TOKEN_INVALIDATION_COOLDOWN_MS"]),
    key("minRotationIntervalMs", Kind::Whole(60_000, 0, MOST), &["CODEX_AUTH_MIN_ROTATION_INTERVAL_MS"]),
    key("storageBackupEnabled", Kind::Flag(true), &["CODEX_AUTH_STORAGE_BACKUP_ENABLED"]),
    key("preemptiveQuotaEnabled", Kind::Flag(true), &["CODEX_AUTH_PREEMPTIVE_QUOTA_ENABLED"]),
    key("preemptiveQuotaRemainingPercent5h", Kind::Whole(5, 0, 100), &["CODEX_AUTH_PREEMPTIVE_QUOTA_5H_REMAINING_PCT"]),
    key("preemptiveQuotaRemainingPercent7d", Kind::Whole(5, 0, 100), &["CODEX_AUTH_PREEMPTIVE_QUOTA_7D_REMAINING_PCT"]),
    key("preemptiveQuotaMaxDeferralMs", Kind::Whole(7_200_000, 1000, MOST), &["CODEX_AUTH_PREEMPTIVE_QUOTA_MAX_DEFERRAL_MS"]),
    key("routingMutex", Kind::Word("legacy", &["enabled", "legacy"]), &["CODEX_AUTH_ROUTING_MUTEX"]),
    key("schedulingStrategy", Kind::Word("hybrid", STRATEGIES), &["CODEX_AUTH_SCHEDULING_STRATEGY"]),
];

/// Settings of screens: the section `dashboardDisplaySettings`.
#[rustfmt::skip]
pub const DASHBOARD: &[Key] = &[
    key("showPerAccountRows", Kind::Flag(true), &[]),
    key("showQuotaDetails", Kind::Flag(true), &[]),
    key("showForecastReasons", Kind::Flag(true), &[]),
    key("showRecommendations", Kind::Flag(true), &[]),
    key("showLiveProbeNotes", Kind::Flag(true), &[]),
    key("actionAutoReturnMs", Kind::Whole(2000, 0, 10_000), &[]),
    key("actionPauseOnKey", Kind::Flag(true), &[]),
    key("menuAutoFetchLimits", Kind::Flag(true), &[]),
    key("menuShowFetchStatus", Kind::Flag(true), &[]),
    key("menuQuotaTtlMs", Kind::Whole(300_000, 60_000, 1_800_000), &[]),
    key("menuSortEnabled", Kind::Flag(true), &[]),
    key("menuSortMode", Kind::Word("ready-first", &["ready-first", "manual"]), &[]),
    key("menuSortPinCurrent", Kind::Flag(false), &[]),
    key("menuSortQuickSwitchVisibleRow", Kind::Flag(true), &[]),
    key("menuShowStatusBadge", Kind::Flag(true), &[]),
    key("menuShowCurrentBadge", Kind::Flag(true), &[]),
    key("menuShowLastUsed", Kind::Flag(true), &[]),
    key("menuShowQuotaSummary", Kind::Flag(true), &[]),
    key("menuShowQuotaCooldown", Kind::Flag(true), &[]),
    key("menuShowDetailsForUnselectedRows", Kind::Flag(false), &[]),
    key("menuLayoutMode", Kind::Word("compact-details", &["compact-details", "expanded-rows"]), &[]),
    key("menuHighlightCurrentRow", Kind::Flag(true), &[]),
    key("menuFocusStyle", Kind::Word("row-invert", &["row-invert"]), &[]),
    key("menuStatuslineFields", Kind::Words(&["last-used", "limits", "status"]), &[]),
    key("uiThemePreset", Kind::Word("green", &["green", "blue"]), &[]),
    key("uiAccentColor", Kind::Word("green", &["green", "cyan", "blue", "yellow"]), &[]),
];
