package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestSecretsAreMasked: whatever is wrong with a line, its secret is not shown:
// neither in the snippet nor in what is said, to people or to machines. The
// document around it is.
func TestSecretsAreMasked(t *testing.T) {
	const secret = "hunter2-Zebra"
	t.Setenv("SPILLWAY_TEST_URL", "sftp://backup:"+secret+"@backup.example.org:port/srv")
	sinkOf := func(attrs string) string {
		return "filesystem \"os\" \"data\" { root = \"d\" }\npipeline \"p\" {\n  sink \"filesystem\" \"local\" { uses = filesystem.os.data }\n" +
			"  sink \"sftp\" \"vault\" {\n" + attrs + "\n  }\n}\n"
	}
	for name, src := range map[string]string{
		"url with a port that is none": sinkOf(`    url = "sftp://backup:HUSH@backup.example.org:port/srv"`),
		"url of the environment":       sinkOf(`    url = env("SPILLWAY_TEST_URL")`),
		"url of another kind":          sinkOf(`    url = "ftp://backup:HUSH@backup.example.org/srv"`),
		"a word too many":              sinkOf(`    url = "sftp://b@x/s"` + "\n" + `    password = "HUSH" oops`),
		"a quote too few":              sinkOf(`    url = "sftp://b@x/s"` + "\n" + `    password = "HUSH`),
		"a misspelt attribute":         sinkOf(`    url = "sftp://b@x/s"` + "\n" + `    pasword = "HUSH"` + "\n" + `    passwort = "HUSH"`),
		"on one line":                  `filesystem "sftp" "f" { password = "HUSH", rooot = 1 }`,
		"filesystem's url":             `filesystem "sftp" "f" { url = "stfp://b:HUSH@x/s" }`,
		"filesystem's root":            `filesystem "os" "data" { root = "sftp://b:HUSH@x/s" }`,
		"signed url":                   `filesystem "azure" "f" { url = "azblbo://c/p?account_key=HUSH&sig=HUSH" }`,
		"the server's password":        `server { password = ["HUSH"] }`,
		"a default":                    `server { password = env("X", "HUSH", 1, 2) + nope }`,
		"a plugin's environment":       "plugin \"p\" {\n  command = 1\n  env = { AWS_SECRET_ACCESS_KEY = \"HUSH\", X = [] }\n}",
		"quoted and with a colon":      "plugin \"p\" {\n  env = { \"API_TOKEN\": \"HUSH\", X = [] }\n}",
		"a list over lines":            "pipeline \"p\" {\n  stage \"age\" {\n    identities = [\n      \"HUSH\",\n    ] oops\n  }\n}",
		"a heredoc":                    "pipeline \"p\" {\n  stage \"age\" {\n    identities = [<<END\nHUSH\nEND\n    ] oops\n  }\n}",
		"an age key anywhere":          `pipeline "p" { stage "age" { recipients = ["AGE-SECRET-KEY-1HUSH"] } }`,
	} {
		t.Run(name, func(t *testing.T) {
			value := secret
			if strings.Contains(name, "age key") {
				value = strings.ToUpper(strings.ReplaceAll(secret, "-", ""))
			}
			cfg, file := Parse("test.hcl", []byte(strings.ReplaceAll(src, "HUSH", value)))
			if cfg != nil {
				file.Verify(cfg)
			}
			var out bytes.Buffer
			errs, err := file.Report(&out, 100, false)
			if err != nil || errs == 0 {
				t.Fatalf("%d errors, %v", errs, err)
			}
			machine, err := json.Marshal(file.Diagnostics())
			if err != nil {
				t.Fatal(err)
			}
			for what, text := range map[string]string{"Report": out.String(), "Diagnostics": string(machine)} {
				if strings.Contains(text, value) || strings.Contains(text, "hunter2") {
					t.Errorf("%s shows the secret:\n%s", what, text)
				}
			}
			if !strings.Contains(out.String(), "test.hcl:") {
				t.Errorf("the report has no place:\n%s", out.String())
			}
		})
	}
	_, file := Parse("test.hcl", fmt.Appendf(nil, "server {\n  fsync = \"evrysec\"\n  password = file(\"pw.txt\") + 1\n}"))
	var out bytes.Buffer
	if _, err := file.Report(&out, 100, false); err != nil || !strings.Contains(out.String(), `file("pw.txt")`) || !strings.Contains(out.String(), `"evrysec"`) {
		t.Errorf("what is no secret is not shown: %v\n%s", err, out.String())
	}
}
