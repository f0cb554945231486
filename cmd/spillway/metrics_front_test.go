package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestMetricsFront: metrics over TLS, for those who show a password or a token; all of it
// changes with a reload, and a probe learns whether the engine works and nothing else.
func TestMetricsFront(t *testing.T) {
	t.Parallel()
	a := testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	scraper := a.Issue("prometheus", "prometheus.pem", "prometheus.key")
	data, port := t.TempDir(), freePort(t)
	hcl := func(more string) string {
		return fmt.Sprintf("server { save = [] }\nfilesystem \"os\" \"data\" { root = %q }\nmetrics {\n address = \"127.0.0.1:%s\"\n %s\n}\n", data, port, more)
	}
	files := fmt.Sprintf("cert = %q\n key = %q\n", a.Path("server.pem"), a.Path("server.key"))
	get := func(scheme, path string, shown []tls.Certificate, as func(*http.Request)) (string, string) {
		t.Helper()
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: a.Pool, Certificates: shown, MinVersion: tls.VersionTLS12}}}
		r, err := http.NewRequest(http.MethodGet, scheme+"://127.0.0.1:"+port+path, nil) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		if as != nil {
			as(r)
		}
		got, err := c.Do(r)
		if err != nil {
			return "none", ""
		}
		defer got.Body.Close()
		body, _ := io.ReadAll(got.Body)
		return got.Status, string(body)
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	want := func(what, scheme string, shown []tls.Certificate, as func(*http.Request), status string) {
		t.Helper()
		got, body := get(scheme, "/metrics", shown, as)
		if got != status || strings.Contains(body, "spillway_uptime_seconds") != (status == "200 OK") {
			t.Errorf("%s: %s, want %s", what, got, status)
		}
	}
	const ok, no = "200 OK", "401 Unauthorized"
	d := startReloads(t, hcl("basic_auth {\n username = \"prometheus\"\n password = \"hush\"\n}"))
	want("the password", "http", nil, basic("prometheus", "hush"), ok)
	want("nobody", "http", nil, nil, no)
	want("another password", "http", nil, basic("prometheus", "hus"), no)
	want("another user", "http", nil, basic("", "hush"), no)
	want("a token that is none", "http", nil, bearer(""), no)
	if got, body := get("http", "/healthz", nil, nil); got != ok || body != "" {
		t.Errorf("a probe: %s %q", got, body)
	}
	if got, body := get("http", "/healthz", nil, basic("prometheus", "hush")); got != ok || body != "ok\n" {
		t.Errorf("a probe with the password: %s %q", got, body)
	}

	d.must(hcl("bearer_token = \"t0ken\"\n tls {\n" + files + "}"))
	want("the token", "https", nil, bearer("t0ken"), ok)
	want("another token", "https", nil, bearer("t0keN"), no)
	want("the password of before", "https", nil, basic("prometheus", "hush"), no)
	if got, _ := get("http", "/metrics", nil, bearer("t0ken")); got == ok {
		t.Error("the token was taken without TLS")
	}

	d.must(hcl("tls {\n" + files + fmt.Sprintf("client_ca = %q\n}", a.File)))
	want("a certificate", "https", []tls.Certificate{scraper}, nil, ok)
	if got, _ := get("https", "/metrics", nil, nil); got != "none" {
		t.Errorf("without a certificate: %s", got)
	}
	d.refused(hcl("tls {\n cert = \"none.pem\"\n key = \"none.pem\"\n}"), "none.pem")
	want("after a refusal", "https", []tls.Certificate{scraper}, nil, ok)
	d.must(hcl(""))
	want("as in the beginning", "http", nil, nil, ok)
	if strings.Contains(d.log.String(), "t0ken") || strings.Contains(d.log.String(), "hush") {
		t.Error("the log has a secret")
	}
	d.stop()

	for more, why := range map[string]string{
		"basic_auth { username = \"x\" }":           "Incomplete authentication",
		"bearer_token = \"\"":                       "No token",
		"tls {\n" + files + "client_user = true\n}": "no ACL user",
	} {
		out, code := spillway(t, "check", "-config", writeConfig(t, hcl(more)))
		if code != 2 || !strings.Contains(out, why) {
			t.Errorf("%s: exit status %d\n%s", more, code, out)
		}
	}
}
