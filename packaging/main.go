// Command packaging makes what people install: programs in a tar.gz, deb and rpm
// packages, an OCI image, a Helm chart, a compose file, bills of materials and the
// checksums of all that. `make dist` runs it.
//
//	go build, CGO off ─▶ stage/linux_ARCH/bin ─┬─▶ tar.gz
//	spillway man, completion ─▶ man, completion├─▶ deb, rpm      linux/*.yaml
//	plugins.hcl ─▶ for a package, for an image ├─▶ OCI archive   no base, no daemon
//	                                           └─▶ bill of materials (CycloneDX)
//	chart/ ─▶ chart       compose.yaml
//
// The same commit gives the same bytes, wherever and whenever it is built: nothing
// says when, on which machine or in which directory that was. It is a module of its
// own, so that the daemon's go.mod does not name what packages are made with.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	var r release
	var arches, only, epoch string
	flag.StringVar(&r.root, "root", "..", "the repository")
	flag.StringVar(&r.out, "out", "../bin/dist", "directory to make, or to make anew")
	flag.StringVar(&r.version, "version", "0.1.0-dev", "version, as semver.org has them")
	flag.StringVar(&r.commit, "commit", "", `commit, with "+changes" behind it where there are any`)
	flag.StringVar(&epoch, "epoch", os.Getenv("SOURCE_DATE_EPOCH"), "seconds since 1970 of the commit, the date of everything (default: $SOURCE_DATE_EPOCH)")
	flag.StringVar(&arches, "arch", "amd64,arm64", "architectures, separated by commas")
	flag.StringVar(&only, "only", "", "make only these, separated by commas: "+strings.Join(partNames(), ", "))
	flag.StringVar(&r.cyclonedx, "cyclonedx", "../bin/cyclonedx-gomod", "the program that writes bills of materials")
	flag.Parse()
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		fail(fmt.Errorf("-epoch %q: want seconds since 1970", epoch))
	}
	r.date, r.arches = time.Unix(seconds, 0).UTC(), strings.Split(arches, ",")
	var parts []string
	if only != "" {
		parts = strings.Split(only, ",")
	}
	r.tell = tell
	if err := r.make(parts...); err != nil {
		fail(err)
	}
}

// tell prints what was made: all of it takes a minute and more.
func tell(name string, took time.Duration) {
	fmt.Printf("packaging: %s: %.1f s\n", name, took.Seconds())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "packaging:", err)
	os.Exit(1)
}
