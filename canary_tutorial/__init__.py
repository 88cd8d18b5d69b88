"""Learn progressive delivery by releasing: real canaries, on real traffic, with no cluster needed."""
