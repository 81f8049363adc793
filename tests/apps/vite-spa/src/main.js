document.querySelector("#app").textContent = `hello from vite at ${location.pathname} (${import.meta.env.VITE_TITLE})`;
