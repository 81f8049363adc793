// Package request is the platform's own Traefik plugin: it gives every request an id, and answers for the platform
// where no app can. Traefik interprets it at start; nothing is downloaded or compiled.
package request

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

const header = "X-Request-Id"

// Config of one use. Status 0 passes the request on; any other answers with that status and Message.
type Config struct {
	Status  int    `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
}

// CreateConfig is called by Traefik.
func CreateConfig() *Config {
	return &Config{}
}

type handler struct {
	next   http.Handler
	config *Config
}

// New is called by Traefik.
func New(_ context.Context, next http.Handler, config *Config, _ string) (http.Handler, error) {
	return &handler{next: next, config: config}, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(header)
	if !acceptable(id) {
		id = fresh()
		r.Header.Set(header, id)
	}
	w.Header().Set(header, id)
	if h.config.Status == 0 {
		// w goes on as it came: a wrapper made here would lose flushing and connection upgrades.
		h.next.ServeHTTP(w, r)
		return
	}
	h.answer(w, r, id)
}

// A client's own id is kept, so that a request can be followed across platforms, but only if it can do no harm in a log.
func acceptable(id string) bool {
	if len(id) < 8 || len(id) > 128 {
		return false
	}
	for _, c := range id {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

func fresh() string {
	bytes := make([]byte, 16)
	_, _ = rand.Read(bytes)
	return hex.EncodeToString(bytes)
}

// id is of harmless characters and Message comes from the platform, so neither needs escaping.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, id string) {
	title := strconv.Itoa(h.config.Status) + " " + http.StatusText(h.config.Status)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if h.config.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	body := title + "\n" + h.config.Message + "\nrequest id: " + id + "\n"
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		body = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">" +
			"<meta name=\"viewport\" content=\"width=device-width\"><title>" + title + "</title>\n" +
			"<body style=\"font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em\">\n" +
			"<h1 style=\"font-size:1.4em\">" + title + "</h1>\n<p>" + h.config.Message + "</p>\n" +
			"<p style=\"color:#666\">request id: <code>" + id + "</code></p>\n"
	} else {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(h.config.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body))
	}
}
