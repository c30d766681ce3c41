from photo_fixtures import photos, rendered, truth

__all__ = ["photos", "rendered", "truth"]
