"""The API as an ASGI application: the client's paths, /health, and the gates a setting puts before them."""

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from . import access, pace
from .clock import frozen_clock, real_clock
from .instants import to_microseconds
from .live import LiveLibrary
from .routes import router
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

    if settings.api_key:
        guard = Depends(access.requires(settings.api_key))
        app.include_router(router, dependencies=[guard], responses={401: {"model": Problem}})
    else:
        app.include_router(router)
    # Middleware runs in the reverse order: a refused request is refused at once.
    if settings.latency_ms:
        app.add_middleware(pace.Latency, latency_ms=settings.latency_ms)
    if settings.rate_limit:
        app.add_middleware(pace.RateLimit, rate_limit=settings.rate_limit)
    return app


def _live(settings: Settings) -> LiveLibrary:
    clock = real_clock if settings.now is None else frozen_clock(to_microseconds(settings.now))
    return LiveLibrary(settings.seed, settings.size, settings.listens, clock, is_frozen=settings.now is not None)
