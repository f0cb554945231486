package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// sboms writes what the daemon of every architecture is made of, as CycloneDX: the
// modules that the linker has noted in it, with the licenses found in their sources.
func (r *release) sboms() error {
	for _, arch := range r.arches {
		to := filepath.Join(r.out, "spillway_"+r.version+"_linux_"+arch+".cdx.json")
		cmd := exec.Command(r.cyclonedx, "bin", "-json", "-licenses", "-std", "-noserial", "-notimestamp",
			"-version", "v"+r.version, "-output", to, filepath.Join(r.stage(arch), "bin", "spillway"))
		cmd.Dir = r.root // its go.sum is what modules are checked against
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return nil
}
