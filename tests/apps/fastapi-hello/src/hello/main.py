from fastapi import FastAPI

api = FastAPI()


@api.get("/")
async def hello() -> dict[str, str]:
    return {"text": "hello from fastapi"}
