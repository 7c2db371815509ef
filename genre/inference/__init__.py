"""A trained model on new sound: files, folders, and what a microphone hears."""
