"""The words and names the rows are made of: Faker's, as in the client's application."""

from faker import Faker

GENRES = (
    "Alternative", "Blues", "Classical", "Country", "Electronic", "Folk", "Funk", "Hip Hop", "Indie", "Jazz", "Metal",
    "Pop", "Punk", "R&B", "Reggae", "Rock", "Techno",
)  # fmt: skip
GENDERS = (
    "Agender", "Bigender", "Female", "Gender nonconforming", "Gender questioning", "Genderfluid", "Genderqueer", "Male",
    "Non-binary",
)  # fmt: skip
MAIL_HOSTS = ("example.com", "example.net", "example.org")

_POOL = 600


class Pools:
    """Names and words of one seed; rows pick from them by index."""

    def __init__(self, seed: int) -> None:
        faker = Faker("en_US")
        faker.seed_instance(seed)
        self.first_names = [faker.first_name() for _ in range(_POOL)]
        self.last_names = [faker.last_name() for _ in range(_POOL)]
        self.full_names = [faker.name() for _ in range(_POOL)]
        self.words = [faker.word() for _ in range(_POOL)]
