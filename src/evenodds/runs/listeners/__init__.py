"""Listeners that need more than the game: data, features, tasks. See evenodds.game.listeners.context."""
