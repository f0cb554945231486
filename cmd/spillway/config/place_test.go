package config

import (
	"fmt"
	"testing"
)

// TestPlaceOfRefusal: what a stage or a sink refuses is shown at the attribute it
// speaks of, whatever else its words remind of, and at the block if it speaks of
// none that is there.
func TestPlaceOfRefusal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		block string // its lines are 3, 4, …
		line  int
	}{
		"a program called as the other attribute": {"stage \"exec\" {\n decode = [\"cat\"]\n encode = [\"no decode\"]\n}", 5},
		"a password in the url, and one beside":   {"sink \"sftp\" \"x\" {\n password = \"p\"\n url = \"sftp://u:hush@h/d\"\n}", 5},
		"level":                                   {"stage \"lz4\" {\n\n level = 99\n}", 5},
		"suffix":                                  {"stage \"exec\" {\n encode = [\"cat\"]\n decode = [\"cat\"]\n suffix = \"/encode\"\n}", 6},
		"url":                                     {"sink \"blob\" \"x\" {\n part_size = 5242880\n url = \"s4://part_size\"\n}", 5},
		"part_size":                               {"sink \"blob\" \"x\" {\n url = \"mem://\"\n part_size = 5\n}", 5},
		"attempts":                                {"sink \"blob\" \"x\" {\n url = \"mem://\"\n attempts = 101\n}", 5},
		"concurrency":                             {"sink \"sftp\" \"x\" {\n url = \"sftp://u@h/d\"\n concurrency = 65\n}", 5},
		"key_file":                                {"sink \"sftp\" \"x\" {\n url = \"sftp://u@h/d\"\n key_file = \"/none/url\"\n}", 5},
		"a missing url":                           {"sink \"blob\" \"x\" {\n part_size = 5242880\n}", 3},
		"a missing program":                       {"stage \"exec\" {\n decode = [\"cat\"]\n}", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, file := Parse("test.hcl", fmt.Appendf(nil, "filesystem \"os\" \"data\" { root = \"d\" }\npipeline \"p\" {\n%s\nsink \"filesystem\" \"l\" { uses = filesystem.os.data }\n}\n", tt.block))
			if cfg != nil {
				file.Verify(cfg)
			}
			if all := file.Diagnostics(); len(all) != 1 || all[0].Line != tt.line {
				t.Errorf("want line %d: %+v", tt.line, all)
			}
		})
	}
}
