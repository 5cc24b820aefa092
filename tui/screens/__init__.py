"""The full-screen app's screens; all but the main one are imported when they are opened."""
