package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// release is what is made, and of what.
type release struct {
	root, out       string // the repository; where it goes
	version, commit string
	date            time.Time // of everything in it
	arches          []string
	cyclonedx       string
	programs        []string                    // nil: all
	tell            func(string, time.Duration) // what was made, and how long it took; nil: nobody is told
}

// part is one kind of what is made.
type part struct {
	name   string
	make   func(*release) error
	staged bool // it needs what stage makes
}

var parts = []part{
	{"tar", (*release).tarballs, true},
	{"deb", func(r *release) error { return r.packages("deb") }, true},
	{"rpm", func(r *release) error { return r.packages("rpm") }, true},
	{"image", (*release).image, true},
	{"chart", (*release).chart, false},
	{"compose", (*release).compose, false},
	{"sbom", (*release).sboms, true},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// make makes the named parts, or all, and the checksums of them.
func (r *release) make(only ...string) error {
	for _, name := range only {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("there is no %q to make: want %s", name, strings.Join(partNames(), ", "))
		}
	}
	var err error
	if r.root, err = filepath.Abs(r.root); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	for _, dir := range []string{r.out, r.stage("")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	staged := false
	for _, p := range parts {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		if p.staged && !staged {
			if err := r.timed("programs", r.prepare); err != nil {
				return err
			}
			staged = true
		}
		if err := r.timed(p.name, func() error { return p.make(r) }); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return r.timed("checksums", r.checksums)
}

// timed makes something, and tells how long that took.
func (r *release) timed(name string, fn func() error) error {
	began := time.Now()
	err := fn()
	if err == nil && r.tell != nil {
		r.tell(name, time.Since(began))
	}
	return err
}

// stage is where the files of an architecture are put together.
func (r *release) stage(arch string) string {
	if arch == "" {
		return r.out + ".stage"
	}
	return filepath.Join(r.out+".stage", "linux_"+arch)
}

func (r *release) linux() string { return filepath.Join(r.root, "packaging", "linux") }

// checksums writes SHA256SUMS, which sha256sum -c reads.
func (r *release) checksums() error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, f := range files {
		in, err := os.Open(filepath.Join(r.out, f.Name()))
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, in)
		in.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", h.Sum(nil), f.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// compose writes the compose file with the image of this release.
func (r *release) compose() error {
	b, err := os.ReadFile(filepath.Join(r.root, "packaging", "compose.yaml"))
	if err != nil {
		return err
	}
	text, err := replaceOnce(string(b), "{{version}}", r.version)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "compose.yaml"), []byte(text), 0o644)
}

// replaceOnce replaces what has to be there exactly once.
func replaceOnce(text, old, by string) (string, error) {
	if n := strings.Count(text, old); n != 1 {
		return "", fmt.Errorf("%q is there %d times, want once", old, n)
	}
	return strings.Replace(text, old, by, 1), nil
}
