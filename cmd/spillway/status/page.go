package status

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html page.css page.js
var files embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"size": sizeOf, "number": number, "micros": micros, "seconds": seconds, "ago": ago, "moment": moment, "percent": percent,
	"addInt": func(a, b int64) int64 { return a + b },
	"sub":    func(a, b float64) float64 { return max(0, a-b) },
	"div":    func(a float64, b int64) float64 { return a / float64(max(b, 1)) },
	"float":  func(n int64) float64 { return float64(n) },
	"since":  func(s int64) string { return rough(lag(s)) },
	"zero":   func(t time.Time) bool { return t.IsZero() },
	"perCall": func(c Command) string {
		return seconds(c.Seconds / float64(max(c.Calls, 1)))
	},
	"draw": func(r *Report, tall bool) picture { return r.draw(tall) },
	"bars": durations, "latencies": latencyBars, "line": func(r *Report) timeline { return r.line() },
	"job": func(r *Report, s Schedule) string { return s.words(r.At) },
	"word": func(s State) string {
		return map[State]string{OK: "all is well", Starting: "loading", Warning: "needs a look", Critical: "needs you now"}[s]
	},
}).ParseFS(files, "page.html"))

// policy lets the page load its own style and script, ask for itself, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the status page at /, its style and script, and the report behind it at
// /status.json. Every request asks for a report.
func Handler(report func() *Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		var body bytes.Buffer
		if err := page.Execute(&body, report()); err != nil {
			http.Error(w, "the page cannot be shown: "+err.Error(), http.StatusInternalServerError)
			return
		}
		send(w, "text/html; charset=utf-8", body.Bytes())
	})
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) {
		body, err := json.MarshalIndent(report(), "", "  ")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		send(w, "application/json", append(body, '\n'))
	})
	for _, f := range []struct{ name, kind string }{{"page.css", "text/css; charset=utf-8"}, {"page.js", "text/javascript; charset=utf-8"}} {
		body, err := files.ReadFile(f.name)
		if err != nil {
			panic(err) // it is embedded
		}
		mux.HandleFunc("GET /"+f.name, func(w http.ResponseWriter, _ *http.Request) { send(w, f.kind, body) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func send(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // a reader that went away is none of the daemon's concern
}
