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

// The walk and a question about a single path agree.
func TestWalkMatchesLikeASingleQuestion(t *testing.T) {
	files := fstest.MapFS{}
	for _, p := range []string{"a", "src/a.go", "src/sub/b.go", "src/sub/keep/c", "node_modules/x/y", "docs/readme.md", ".git/config", "x/.env", "x/y/z.tmp"} {
		files[p] = &fstest.MapFile{}
	}
	for _, patterns := range []string{"*\n!src", "**/*.go\n!src/sub", "src\n!src/sub/keep\nsrc/sub/keep/c", "**\n!docs/*.md", "node_modules\n.*\n**/*.tmp", "src/*\n!**/keep", "*/sub\n!src/sub/b.go", ""} {
		files[".dockerignore"] = &fstest.MapFile{Data: []byte(patterns)}
		bc, err := walkContext(Input{Context: files})
		if err != nil {
			t.Fatal(err)
		}
		sent := map[string]bool{}
		for _, p := range bc.files {
			sent[p] = true
		}
		for p := range files {
			if p != ".git/config" && sent[p] == bc.excluded(p) { // of .git the walk keeps the directory only
				t.Errorf("%q: %s is sent: %v, excluded: %v", patterns, p, sent[p], bc.excluded(p))
			}
		}
	}
	// BuildKit asks about a directory before its files, and does not look at an
	// exception for what nothing has excluded yet.
	files[".dockerignore"] = &fstest.MapFile{Data: []byte("**/*.go\n!src/sub")}
	bc, err := walkContext(Input{Context: files})
	if err != nil {
		t.Fatal(err)
	}
	if !bc.excluded("src/sub/b.go") || bc.excluded("src/sub/keep/c") {
		t.Error("an exception for a directory lets its files through that a later look excludes")
	}
}
