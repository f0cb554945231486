package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// long is whether make dist-check runs these tests.
var long = os.Getenv("SPILLWAY_LAB") == "long"

// made is what these tests look at: a release for this machine.
var made release

// TestMain makes the release, once.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "spillway-packaging")
		if err != nil {
			fail(err)
		}
		defer os.RemoveAll(dir)
		made = testRelease("..", dir, "1.0.0")
		if long {
			made.tell = tell
		}
		if err := made.make(); err != nil {
			fail(err)
		}
		return m.Run()
	}())
}

func testRelease(root, dir, version string) release {
	tool, err := filepath.Abs("../bin/cyclonedx-gomod")
	if err != nil {
		fail(err)
	}
	var programs []string // all of them, for all machines, when there is time
	arches := []string{"amd64", "arm64"}
	if !long {
		programs, arches = []string{"spillway"}, []string{runtime.GOARCH}
	}
	return release{
		programs: programs, arches: arches,
		root: root, out: filepath.Join(dir, "dist"), version: version, commit: "0123456789abcdef0123456789abcdef01234567",
		date: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), cyclonedx: tool,
	}
}

// foreign is how the architecture that this machine is not of is called.
var foreign = map[string][]string{"amd64": {"arm64", "aarch64"}, "arm64": {"amd64", "x86_64"}}[runtime.GOARCH]

// path is that of one thing made for this machine, by a pattern of its name.
func (r *release) path(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(r.out, pattern))
	found = slices.DeleteFunc(found, func(f string) bool {
		return slices.ContainsFunc(foreign, func(arch string) bool { return strings.Contains(f, arch) })
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %d of them, want one (%v)", pattern, len(found), err)
	}
	return found[0]
}

// output runs a program that must not fail.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// untar reads an archive: contents by name, headers by name.
func untar(t *testing.T, r io.Reader) (map[string][]byte, map[string]*tar.Header) {
	t.Helper()
	files, headers := make(map[string][]byte), make(map[string]*tar.Header)
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if headers[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		files[name], headers[name] = b, h
	}
}

// TestReproducible: the same commit gives the same bytes, in another directory, at
// another time, with another umask and time zone, on another number of processors.
func TestReproducible(t *testing.T) {
	root := filepath.Join(t.TempDir(), "elsewhere", "src")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	out := output(t, "sh", "-c", `umask 077; cd .. && tar --exclude=./bin --exclude=./data --exclude=./.git --mode=u=rwX,go= -cf - . | tar -C "$1" -xf -; find "$1" -exec touch -d 2001-01-01 {} +`, "-", root)
	if out != "" {
		t.Log(out)
	}
	t.Setenv("TZ", "Asia/Kathmandu")
	processors := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(processors)
	runtime.GOMAXPROCS(processors + 1)
	again := testRelease(root, t.TempDir(), made.version)
	if err := again.make(); err != nil {
		t.Fatal(err)
	}
	sums := func(r release) string {
		b, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a, b := sums(made), sums(again); a != b {
		t.Errorf("once:\n%sand again:\n%s", a, b)
	}
	output(t, "sh", "-c", "cd "+made.out+" && sha256sum --check --strict SHA256SUMS")
}

// TestTarball: what is in it runs where it is unpacked, and says what it is.
func TestTarball(t *testing.T) {
	dir := t.TempDir()
	output(t, "tar", "-C", dir, "-xzf", made.path(t, "*.tar.gz"))
	top := filepath.Join(dir, "spillway_1.0.0_linux_"+runtime.GOARCH)
	var v struct{ Version, Commit, Date string }
	out := output(t, filepath.Join(top, "bin", "spillway"), "version", "--json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Version != "1.0.0" || v.Commit != made.commit || v.Date != "2026-02-03T04:05:06Z" {
		t.Errorf("version --json: %v\n%s", err, out)
	}
	if line := output(t, filepath.Join(top, "bin", "spillway"), "--version"); !strings.HasPrefix(line, "spillway 1.0.0 (commit 0123456789ab, 2026-02-03T04:05:06Z, go") {
		t.Errorf("--version: %s", line)
	}
	for _, p := range made.built() {
		if _, err := os.Stat(filepath.Join(top, "bin", p)); err != nil {
			t.Error(err)
		}
	}
	for _, f := range []string{"LICENSE", "README.md", "plugins.hcl", "docs/operations.md", "completion/_spillway", "man/spillway-serve.1.gz", "examples/s3.hcl", "monitoring/alerts.yml"} {
		if _, err := os.Stat(filepath.Join(top, f)); err != nil {
			t.Error(err)
		}
	}
}

// TestBillOfMaterials: every module that the daemon links is there, with a license.
func TestBillOfMaterials(t *testing.T) {
	b, err := os.ReadFile(made.path(t, "*.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct {
			Name, Version string
			Evidence      struct{ Licenses []any }
		}
	}
	if err := json.Unmarshal(b, &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatalf("%v, format %q", err, bom.BOMFormat)
	}
	listed := make(map[string]bool)
	for _, c := range bom.Components {
		listed[c.Name+" "+c.Version] = true
		if len(c.Evidence.Licenses) == 0 && c.Name != "std" { // Go's own
			t.Errorf("no license of %s %s", c.Name, c.Version)
		}
	}
	n := 0
	for line := range strings.Lines(output(t, "go", "version", "-m", filepath.Join(made.stage(runtime.GOARCH), "bin", "spillway"))) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
			if n++; !listed[f[1]+" "+f[2]] {
				t.Errorf("%s %s is linked and not listed", f[1], f[2])
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d modules are linked", n)
	}
}

// TestUnit: systemd takes every line of the unit, the program it starts is what the
// package installs, and it leaves the daemon little to harm.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("needs systemd-analyze")
	}
	root := t.TempDir()
	output(t, "dpkg-deb", "-x", made.path(t, "spillway_*.deb"), root)
	unit := filepath.Join(root, "lib/systemd/system/spillway.service")
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	start, _ := execStart(t, string(text))
	if _, err := os.Stat(filepath.Join(root, start[0])); err != nil {
		t.Error(err)
	}
	// verify looks for what units of the machine start, too: here is only ours, and what it starts.
	here := filepath.Join(t.TempDir(), "spillway.service")
	local := strings.ReplaceAll(string(text), "/usr/bin/spillway", filepath.Join(root, "usr/bin/spillway"))
	local = strings.ReplaceAll(local, "Documentation=man:spillway(1) man:spillway-serve(1) ", "Documentation=")
	if err := os.WriteFile(here, []byte(local), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("systemd-analyze", "verify", "--recursive-errors=no", here)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "spillway.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	security := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", here)
	if out, err := security.CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: exposed by more than 2.0: %v\n%s", err, out)
	}
}

// execStart is the command of a unit, and its user.
func execStart(t *testing.T, unit string) (command []string, user string) {
	t.Helper()
	for line := range strings.Lines(unit) {
		if c, ok := strings.CutPrefix(line, "ExecStart="); ok {
			command = strings.Fields(c)
		}
		if u, ok := strings.CutPrefix(line, "User="); ok {
			user = strings.TrimSpace(u)
		}
	}
	if len(command) == 0 || user == "" {
		t.Fatalf("no command or no user in\n%s", unit)
	}
	return command, user
}

// TestCompose: the file is for the image of its release, and publishes to this
// machine only.
func TestCompose(t *testing.T) {
	b, err := os.ReadFile(made.path(t, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Services map[string]struct {
			Image    string
			Ports    []string
			Volumes  []string
			Secrets  []string
			ReadOnly bool                    `yaml:"read_only"`
			Health   struct{ Test []string } `yaml:"healthcheck"`
		}
		Volumes, Secrets map[string]any
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	s := c.Services["spillway"]
	if s.Image != "spillway:1.0.0" || !slices.Equal(s.Ports, []string{"127.0.0.1:6380:6380"}) || !s.ReadOnly {
		t.Errorf("the service is %+v", s)
	}
	cfg, err := openImage(t).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Health.Test, cfg.Config.Healthcheck.Test) {
		t.Errorf("its health is checked by %q, the image's by %q", s.Health.Test, cfg.Config.Healthcheck.Test)
	}
	for _, v := range s.Volumes {
		if name, _, _ := strings.Cut(v, ":"); c.Volumes[name] == nil {
			t.Errorf("there is no volume %s", name)
		}
	}
	for _, name := range s.Secrets {
		if c.Secrets[name] == nil {
			t.Errorf("there is no secret %s", name)
		}
	}
}

// TestProject: packages name the project as the module's path does, and nobody's mailbox.
func TestProject(t *testing.T) {
	deb := output(t, "dpkg-deb", "--field", made.path(t, "spillway_*.deb"), "Maintainer", "Homepage")
	if want := "Homepage: https://github.com/spillwaydb/spillway\n"; !strings.Contains(deb, want) {
		t.Errorf("the deb says %q", deb)
	}
	if want := "Maintainer: The Spillway authors <spillwaydb@users.noreply.github.com>\n"; !strings.Contains(deb, want) {
		t.Errorf("the deb says %q", deb)
	}
	r := release{root: t.TempDir()}
	if err := os.WriteFile(filepath.Join(r.root, "go.mod"), []byte("module example.org/odd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.project(); err == nil {
		t.Error("a path that names no owner is taken")
	}
}

// TestMistakes: what cannot be made is said, and by name.
func TestMistakes(t *testing.T) {
	r := testRelease("..", t.TempDir(), "1.0.0")
	if err := r.make("dbe"); err == nil || !strings.Contains(err.Error(), `no "dbe" to make`) {
		t.Errorf("a part that is none: %v", err)
	}
	if _, err := replaceOnce("a a", "a", "b"); err == nil || !strings.Contains(err.Error(), "2 times") {
		t.Errorf("what is there twice: %v", err)
	}
	r.arches = []string{"pdp11"}
	if err := r.make("deb"); err == nil || !strings.Contains(err.Error(), "pdp11") {
		t.Errorf("an architecture that is none: %v", err)
	}
}
