//go:build browser

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// chromium is the browser; make browser looks for it. CHROMIUM in the environment is
// another.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no chromium here")
	return ""
}

// browse opens the page in the browser for some seconds of its own time, and returns
// what it then holds and what the browser complained of.
func browse(t *testing.T, url string, flags ...string) (dom, complaints string) {
	t.Helper()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
		"--enable-logging=stderr", "--virtual-time-budget=7000",
	}, flags...)
	cmd := exec.CommandContext(t.Context(), chromium(t), append(args, url)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	for line := range strings.Lines(errs.String()) {
		if strings.Contains(line, "CONSOLE") {
			complaints += line
		}
	}
	return out.String(), complaints
}

// TestBrowser: a real browser shows the page, light and dark, wide and narrow, and its
// script runs under the page's own policy. SPILLWAY_SHOTS keeps the pictures.
func TestBrowser(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	d := startConfig(t, watchedConfig(t, address))
	for i := range 1000 {
		d.do("SET", fmt.Sprint("key:", i), strings.Repeat("v", 100))
	}
	saveBeside(d)
	directory := d.rdb.ConfigGet(t.Context(), "dir").Val()["dir"]
	url := neutral(t, "http://"+address, directory)
	dom, complaints := browse(t, url, "--dump-dom")
	if complaints != "" {
		t.Errorf("the browser complains:\n%s", complaints)
	}
	if strings.Contains(dom, directory) || !strings.Contains(dom, "/var/lib/spillway") {
		t.Errorf("the page shows the directory of a test:\n%.2000s", dom)
	}
	if !strings.Contains(dom, `class="edge"`) || !strings.Contains(dom, ">all is well<") {
		t.Errorf("the script has drawn nothing, or has lost the daemon:\n%.2000s", dom)
	}
	dir := os.Getenv("SPILLWAY_SHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, size := range []struct {
		name          string
		width, height int
	}{{"wide", 1440, 1500}, {"narrow", 500, 3200}} {
		for name, scheme := range map[string]string{"light": "1", "dark": "0"} {
			path := filepath.Join(dir, "status-"+name+"-"+size.name+".png")
			browse(t, url, fmt.Sprintf("--window-size=%d,%d", size.width, size.height), "--blink-settings=preferredColorScheme="+scheme, "--screenshot="+path)
			checkShot(t, path, name == "dark", size.width)
		}
	}
}

// neutral is the page with the directory of a package in place of a test's, since its
// pictures are in docs.
func neutral(t *testing.T, page, directory string) string {
	t.Helper()
	if directory == "" {
		t.Fatal("the daemon does not say where its data is")
	}
	to, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			b = bytes.ReplaceAll(b, []byte(directory), []byte("/var/lib/spillway"))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			r.Header.Set("Content-Length", strconv.Itoa(len(b)))
		}
		return err
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// checkShot looks at a picture of the page: its ground is light or dark, and it is as
// wide as the window, so that nothing reaches the right edge.
func checkShot(t *testing.T, path string, dark bool, width int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	shot, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if got := shot.Bounds().Dx(); got != width {
		t.Errorf("%s is %d wide", path, got)
	}
	ground := brightness(shot, 2, 2)
	if dark != (ground < 0.5) {
		t.Errorf("%s: the ground has a brightness of %.2f", path, ground)
	}
	for y := range shot.Bounds().Dy() {
		if b := brightness(shot, width-3, y); b < ground-0.02 || b > ground+0.02 {
			t.Errorf("%s: something reaches the right edge at %d", path, y)
			return
		}
	}
}

// brightness is that of a point, from 0 to 1.
func brightness(i image.Image, x, y int) float64 {
	r, g, b, _ := i.At(x, y).RGBA()
	return float64(r+g+b) / (3 * 0xffff)
}
