package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// TestExampleConfigs: every file of examples/config is accepted by check, says
// what it says, and is listed here.
func TestExampleConfigs(t *testing.T) {
	dir := t.TempDir()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(dir, "age.key")
	if err := os.WriteFile(keyFile, []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sshKey := filepath.Join(dir, "id_ed25519")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", sshKey).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v; apt-get install openssh-client\n%s", err, out)
	}
	blob, blobSum := buildPlugin(t, "cmd/spillway-plugin-blob")
	execName, execSum := buildPlugin(t, "cmd/spillway-plugin-exec")
	for name, c := range map[string]struct {
		env  []string
		want []string
	}{
		"s3.hcl": {
			[]string{"SPILLWAY_PLUGIN_BLOB=" + blob, "SPILLWAY_PLUGIN_BLOB_CHECKSUM=" + blobSum, "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=hush"},
			[]string{"offsite: (plugin blob) (required, timeout 5m0s, keep last 30)", blobSum + ", verified"},
		},
		"sftp.hcl":      {[]string{"SPILLWAY_SFTP_KEY=" + sshKey, "SPILLWAY_SFTP_KNOWN_HOSTS=" + known}, []string{"offsite: sftp (best effort, timeout 10m0s, keep last 14)"}},
		"gcs.hcl":       {[]string{"STORAGE_EMULATOR_HOST=127.0.0.1:1"}, []string{"offsite: blob (required, timeout 5m0s, keep last 30)"}}, // no credentials
		"encrypted.hcl": {[]string{"SPILLWAY_AGE_RECIPIENT=" + key.Recipient().String(), "SPILLWAY_AGE_KEY=" + keyFile}, []string{"zstd", "age", "mirror: /mnt/backup/spillway (required, timeout 10m0s, keep last 14)"}},
		"air-gapped.hcl": {
			[]string{"SPILLWAY_PLUGIN_EXEC=" + execName, "SPILLWAY_PLUGIN_EXEC_CHECKSUM=" + execSum, "SPILLWAY_SOCKET=" + filepath.Join(dir, "s.sock")},
			[]string{"unix://" + filepath.Join(dir, "s.sock"), "gpg (plugin exec)", "disk: /media/backup/spillway (best effort", execSum + ", verified"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := mustAbs(t, filepath.Join("../../examples/config", name))
			cmd := exec.Command(binary, "check", "-config", file)
			cmd.Dir = t.TempDir()
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir}, c.env...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("check: %v\n%s", err, out)
			}
			for _, w := range append(c.want, "is valid", "/var/lib/spillway (data directory") {
				if !strings.Contains(string(out), w) {
					t.Errorf("check lacks %q:\n%s", w, out)
				}
			}
			if strings.Contains(string(out), "hush") {
				t.Error("a secret is shown")
			}
		})
		if strings.HasPrefix(name, "s3") || strings.HasPrefix(name, "air") { // without the checksum it does not run
			out, code := spillway(t, "check", "-config", filepath.Join(mustAbs(t, "../../examples/config"), name))
			if code != 2 || !strings.Contains(out, "_CHECKSUM is") {
				t.Errorf("%s without its environment: exit status %d:\n%s", name, code, out)
			}
		}
	}
	if files := mustGlob(t, "../../examples/config/*"); len(files) != 5 {
		t.Errorf("there are other files: %v", files)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
