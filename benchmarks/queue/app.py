"""Serves 40 requests/s and no more: four at a time, a tenth of a second each; what comes beyond that waits."""

import asyncio
import os

WORKERS = asyncio.Semaphore(4)
SECONDS = 0.1
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if not head.startswith(b"GET /health"):
                async with WORKERS:
                    await asyncio.sleep(SECONDS)
            writer.write(ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(15, stop.set)
    async with await asyncio.start_server(serve, "0.0.0.0", int(os.environ["PORT"]), backlog=4096):
        await stop.wait()


asyncio.run(main())
