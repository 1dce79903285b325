//! Pool and keeper from outside: under chance, under crashes, and in every order of their steps.

mod executor;
mod keeper_races;
mod simulation;
mod stepped;
