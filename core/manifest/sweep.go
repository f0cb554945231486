package manifest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
)

// Sweep removes what m does not name and returns the paths that are gone:
//
//	*.tmp                      in the root and in the two directories
//	log/<digits>.aof           segments that m does not name
//	checkpoints/<set>/         sets that m neither has as base nor in its history
//
// Anything else is somebody's: torn tails that were set aside, the lock, a file
// an operator left. pinned may be nil; a path for which it says true stays, and
// for a directory all of it stays. Jobs in flight pin what they stage.
//
// m must be the manifest on disk (ErrNotCurrent otherwise), which Sweep makes
// durable first: a crash must not bring back a manifest whose files are gone.
// A file that cannot be removed does not stop the sweep; the errors are joined.
// It may take long: call it off the serving path.
func (s *Store) Sweep(m *Manifest, pinned func(path string) bool) (removed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkCurrent(m); err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	if pinned == nil {
		pinned = func(string) bool { return false }
	}
	w := &sweeper{fs: s.fs, pinned: pinned}

	segments := map[string]bool{}
	for _, seg := range slices.Concat(m.Owed, m.Segments) {
		segments[seg.Path] = true
	}
	sets := map[string]bool{}
	for _, id := range m.Sets() {
		sets[SetDir(id)] = true
	}

	w.dir(".", func(p string, isDir bool) bool { return !isDir && isTemp(p) })
	w.dir(LogDir, func(p string, isDir bool) bool {
		return !isDir && (isTemp(p) || isNumber(path.Base(p), ".aof") && !segments[p])
	})
	w.dir(sink.SetsDir, func(p string, isDir bool) bool {
		if isDir && sets[p] {
			w.dir(p, func(p string, isDir bool) bool { return !isDir && isTemp(p) })
			return false
		}
		_, ours := sink.ParseDirName(path.Base(p))
		return isTemp(p) || isDir && ours
	})
	if len(w.errs) > 0 {
		return w.removed, fmt.Errorf("sweep: %w", errors.Join(w.errs...))
	}
	return w.removed, nil
}

func isTemp(p string) bool { return strings.HasSuffix(p, vfs.TempSuffix) }

// isNumber tells whether name is at least eight digits and the suffix.
func isNumber(name, suffix string) bool {
	digits, ok := strings.CutSuffix(name, suffix)
	return ok && len(digits) >= 8 && strings.Trim(digits, "0123456789") == ""
}

// sweeper removes files and goes on after errors.
type sweeper struct {
	fs      vfs.FS
	pinned  func(string) bool
	removed []string
	errs    []error
}

// dir removes those entries of dir that doomed says, and syncs dir if any went.
func (w *sweeper) dir(dir string, doomed func(p string, isDir bool) bool) {
	infos, err := vfs.ReadDir(w.fs, dir)
	if err != nil {
		w.errs = append(w.errs, err)
		return
	}
	slices.SortFunc(infos, func(a, b os.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	gone := false
	for _, st := range infos {
		p := path.Join(dir, st.Name())
		if w.pinned(p) || !doomed(p, st.IsDir()) {
			continue
		}
		if st.IsDir() {
			gone = w.tree(p) || gone
		} else {
			gone = w.remove(p) || gone
		}
	}
	if gone {
		if err := w.fs.SyncDir(dir); err != nil {
			w.errs = append(w.errs, fmt.Errorf("sync directory %s: %w", dir, err))
		}
	}
}

// tree removes a directory and what is in it, save what is pinned, and tells
// whether the directory itself is gone.
func (w *sweeper) tree(dir string) bool {
	w.dir(dir, func(string, bool) bool { return true })
	left, err := vfs.ReadDir(w.fs, dir)
	if err != nil {
		w.errs = append(w.errs, err)
		return false
	}
	return len(left) == 0 && w.remove(dir)
}

// remove removes one file or empty directory; one that is gone already is fine.
func (w *sweeper) remove(p string) bool {
	err := w.fs.Remove(p)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("remove %s: %w", p, err))
		return false
	}
	w.removed = append(w.removed, p)
	return true
}
