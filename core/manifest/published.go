package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
)

// CheckSets compares the checkpoints that m names with listed, what their
// directories say of themselves, and tells what is missing or contradicts m. What
// cannot be read is for the listing to tell. No start needs those descriptions,
// since m has the base's; who goes back to an older checkpoint, or lists them,
// does.
func CheckSets(data vfs.FS, m *Manifest, listed []sink.Set) error {
	var errs []error
	for _, id := range m.Sets() {
		name := path.Join(SetDir(id), sink.SetFile)
		i := slices.IndexFunc(listed, func(s sink.Set) bool { return s.ID == id })
		switch {
		case i < 0:
			if _, err := data.Stat(name); errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("%s is missing; %s names its checkpoint", name, FileName))
			} else if j := slices.IndexFunc(listed, func(s sink.Set) bool { return s.ID.Generation == id.Generation }); j >= 0 {
				errs = append(errs, fmt.Errorf("%s describes %s, and %s names %s", name, listed[j].ID, FileName, id))
			}
		case m.Base != nil && id == m.Base.ID && !sameParts(m.Base, &listed[i]):
			errs = append(errs, fmt.Errorf("%s describes other bytes than %s does", name, FileName))
		}
	}
	return errors.Join(errs...)
}

// sameParts tells whether two descriptions are of the same bytes.
func sameParts(a, b *sink.Set) bool {
	return slices.EqualFunc(a.Parts, b.Parts, func(a, b sink.SetPart) bool {
		return a.Part.Name == b.Part.Name && a.Bytes == b.Bytes && a.SHA256 == b.SHA256
	})
}
