"""The API as an ASGI application: the client's paths, /health, and the gates a setting puts before them."""

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from . import access, pace
from .clock import frozen_clock, real_clock
from .instants import START, to_microseconds
from .live import LiveLibrary, Pages
from .routes import router
from .scenarios.worlds import RestartedLibrary, moving_clock, skewed_clock
from .schemas import Problem
from .settings import Settings


class Health(BaseModel):
    """The API answers."""

    status: str = "ok"


def create_app(settings: Settings) -> FastAPI:
    """Builds the library, then the application that answers from it."""
    app = FastAPI(title="MooVitamix", description="A music recommendation system.", version="1.1")
    app.state.live = _live(settings)

    @app.get("/")
    async def docs_redirect() -> RedirectResponse:
        return RedirectResponse(url="/docs")

    @app.get("/health", tags=["Operations"])
    async def health() -> Health:
        return Health()

    guard = [Depends(access.requires(settings.api_key))] if settings.api_key else []
    refusals = {401: settings.api_key, 429: settings.rate_limit}
    app.include_router(
        router,
        dependencies=guard,
        responses={status: {"model": Problem} for status, setting in refusals.items() if setting},
    )
    # Middleware runs in the reverse order: a refused request is refused at once.
    if settings.latency_ms:
        app.add_middleware(pace.Latency, latency_ms=settings.latency_ms)
    if settings.rate_limit:
        app.add_middleware(pace.RateLimit, rate_limit=settings.rate_limit)
    return app


def _live(settings: Settings) -> Pages:
    now, scenario = settings.now, settings.disturbance
    clock = real_clock if now is None else frozen_clock(to_microseconds(now))
    is_frozen = now is not None
    if scenario and scenario.has("moving"):
        clock, is_frozen = moving_clock(START if now is None else clock(), scenario.seed), False
    if scenario and scenario.has("skewed"):
        clock = skewed_clock(clock, scenario.seed)

    def library(seed: int) -> LiveLibrary:
        return LiveLibrary(seed, settings.size, settings.listens, clock, is_frozen=is_frozen)

    if scenario and scenario.has("restart"):
        return RestartedLibrary(library(settings.seed), library(settings.seed + 1_000_003), scenario.seed)
    return library(settings.seed)
