package dockerfile

import (
	"testing"
	"testing/fstest"

	"github.com/hardstand/hardstand/audit"
)

// What an ignore file keeps away by default is asked of its patterns.
func TestDenyByDefault(t *testing.T) {
	for patterns, want := range map[string]bool{
		"*":                     true,
		"**":                    true,
		"/*\n!src":              true,
		"*\r\n!src\r\n":         true,
		"\ufeff*\n!go.mod":      true,
		".":                     false, // names the context itself, which is always sent
		"*\n!*":                 false,
		"*\n!**":                false,
		"!src\n*":               true,
		"*.go\n*.md":            false,
		"# *":                   false,
		"* \n!a":                true,
		"**/*\n!**/*.go":        true,
		"*/*":                   false,
		"*\n!.*":                false,
		"node_modules\n**/.env": false,
	} {
		bc, err := walkContext(Input{Context: fstest.MapFS{".dockerignore": {Data: []byte(patterns)}, "main.go": {}}})
		if err != nil {
			t.Errorf("%q: %v", patterns, err)
			continue
		}
		if got := bc.denyByDefault(); got != want {
			t.Errorf("%q: %v, want %v", patterns, got, want)
		}
	}
}

// The ignore file beside the Dockerfile wins, as in BuildKit, and is not mixed
// with the other.
func TestIgnoreFileOfTheDockerfile(t *testing.T) {
	in := Input{
		Name: "app.Dockerfile", Data: []byte("FROM scratch\nCOPY . /\n"), IgnoreFile: "app.Dockerfile.dockerignore",
		Context: fstest.MapFS{".dockerignore": {Data: []byte("*\n")}, "app.Dockerfile.dockerignore": {Data: []byte("a\n")}, ".env": {}, "a": {}},
	}
	res, err := Audit(t.Context(), in, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range res.Findings {
		if f.Rule == "CHG-2.4b" && f.Verdict != audit.Fail {
			t.Errorf("%s: .env is sent", f.Verdict)
		}
	}
}
