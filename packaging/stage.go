package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// allPrograms are those of cmd that people install.
var allPrograms = []string{
	"spillway", "spillway-plugin-blob", "spillway-plugin-exec", "spillway-plugin-gzip",
	"spillway-plugin-lz4", "spillway-plugin-sftp", "spillway-plugin-zstd",
}

func (r *release) built() []string {
	if r.programs != nil {
		return r.programs
	}
	return allPrograms
}

// prepare builds, for every architecture, and has the daemon write its pages and
// completions.
func (r *release) prepare() error {
	for _, arch := range r.arches {
		if err := r.build(arch, filepath.Join(r.stage(arch), "bin"), r.built()...); err != nil {
			return err
		}
	}
	native := filepath.Join(r.stage(runtime.GOARCH), "bin", "spillway")
	if _, err := os.Stat(native); err != nil {
		dir := filepath.Join(r.stage(""), "native")
		if err := r.build(runtime.GOARCH, dir, "spillway"); err != nil {
			return err
		}
		native = filepath.Join(dir, "spillway")
	}
	for _, arch := range r.arches {
		if err := r.pages(native, r.stage(arch)); err != nil {
			return err
		}
		if err := r.texts(r.stage(arch)); err != nil {
			return err
		}
	}
	return nil
}

// build compiles programs, static, without anything that says where, and without what the Makefile leaves out.
func (r *release) build(arch, dir string, programs ...string) error {
	ldflags := "-s -w -buildid= -X main.version=" + r.version
	if r.commit != "" {
		ldflags += " -X main.commit=" + r.commit + " -X main.date=" + r.date.Format("2006-01-02T15:04:05Z")
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags", "disable_grpc_modules", "-ldflags", ldflags, "-o", dir + string(filepath.Separator)}
	for _, p := range programs {
		args = append(args, "./cmd/"+p)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building for %s: %w\n%s", arch, err, out)
	}
	return nil
}

// pages are the manual pages, compressed, and the completions.
func (r *release) pages(program, stage string) error {
	man := filepath.Join(stage, "man")
	if _, err := r.run(program, "man", "--to", man); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(man, "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if err := os.WriteFile(page+".gz", compress(text), 0o644); err != nil {
			return err
		}
		if err := os.Remove(page); err != nil {
			return err
		}
	}
	for shell, name := range map[string]string{"bash": "spillway.bash", "zsh": "_spillway", "fish": "spillway.fish"} {
		script, err := r.run(program, "completion", shell)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(stage, "completion", name), script); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) run(program string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+fmt.Sprint(r.date.Unix()))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// texts are the configurations and the license: plugins.hcl is the manual as well,
// with other places for a package and for an image.
func (r *release) texts(stage string) error {
	b, err := os.ReadFile(filepath.Join(r.root, "plugins.hcl"))
	if err != nil {
		return err
	}
	for name, change := range map[string][][2]string{
		"plugins.hcl": {
			{`env("SPILLWAY_DIR", "./data")`, `env("SPILLWAY_DIR", "/var/lib/spillway")`},
			{`env("SPILLWAY_PASSWORD", "")`, `credential("spillway.password", env("SPILLWAY_PASSWORD", ""))`},
			{`# include = "/var/lib/spillway/spillway.auto.hcl"`, `include = "/var/lib/spillway/spillway.auto.hcl"`},
		},
		"image.hcl": {
			{`env("SPILLWAY_DIR", "./data")`, `env("SPILLWAY_DIR", "/data")`},
			{`env("SPILLWAY_PASSWORD", "")`, `credential("spillway.password", env("SPILLWAY_PASSWORD", ""))`},
			{`address = "127.0.0.1:6380"`, `address = "0.0.0.0:6380"`},
			{`# include = "/var/lib/spillway/spillway.auto.hcl"`, `include = "/data/spillway.auto.hcl"`},
		},
	} {
		text := string(b)
		for _, c := range change {
			if text, err = replaceOnce(text, c[0], c[1]); err != nil {
				return fmt.Errorf("plugins.hcl for %s: %w", name, err)
			}
		}
		if err := write(filepath.Join(stage, name), []byte(text)); err != nil {
			return err
		}
	}
	license, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return err
	}
	project, err := r.project()
	if err != nil {
		return err
	}
	head := "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nSource: " + project.homepage() + "\n\n" +
		"Files: *\nCopyright: The Spillway authors\nLicense: Apache-2.0\n The whole text:\n"
	for line := range strings.Lines(string(license)) {
		if strings.TrimSpace(line) == "" {
			line = ".\n"
		}
		head += " " + line
	}
	return write(filepath.Join(stage, "copyright"), []byte(head))
}

// compress is gzip, without a name or a time.
func compress(b []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is valid
	}
	_, _ = z.Write(b) // to memory
	_ = z.Close()
	return out.Bytes()
}

func write(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
