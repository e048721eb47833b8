package dockerfile

import (
	"fmt"
	"path"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule23e = rule{audit.Rule{
	ID: "CHG-2.3e", Title: "Lock files are there and reach the build", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Context},
	Why:      "Without its lock file a build resolves dependencies anew, and gets what is newest.",
	Fix:      "Commit the lock file (go.sum, package-lock.json, Cargo.lock, ...) and let .dockerignore pass it.",
	Evidence: "the manifest and the lock file that is missing",
}, func(c *check) {
	if c.context == nil {
		c.notApplicableContext()
		return
	}
	c.method = "files of the context that reach the builder"
	n := 0
	for _, manifest := range c.context.files {
		locks := lockFiles[path.Base(manifest)]
		if len(locks) == 0 || strings.Contains(manifest, "/testdata/") || strings.Contains(manifest, "node_modules/") || strings.Contains(manifest, "vendor/") {
			continue
		}
		if path.Dir(manifest) != "." && strings.Count(manifest, "/") > 2 {
			continue
		}
		n++
		if !c.context.lockBeside(path.Dir(manifest), locks) {
			c.missingLock(manifest, locks)
		}
	}
	c.held = fmt.Sprintf("%d manifests with their lock files", n)
}}

// lockFiles maps a manifest to the files of which one must lie beside it or
// above it.
var lockFiles = map[string][]string{
	"go.mod":         {"go.sum"},
	"package.json":   {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lockb", "bun.lock"},
	"Cargo.toml":     {"Cargo.lock"},
	"Gemfile":        {"Gemfile.lock"},
	"composer.json":  {"composer.lock"},
	"Pipfile":        {"Pipfile.lock"},
	"mix.exs":        {"mix.lock"},
	"pyproject.toml": {"poetry.lock", "uv.lock", "pdm.lock", "requirements.txt", "pylock.toml"},
}

func (bc *buildContext) lockBeside(dir string, locks []string) bool {
	for {
		for _, l := range locks {
			if p := path.Join(dir, l); bc.all[p] && !bc.ignored[p] {
				return true
			}
		}
		if dir == "." || dir == "/" {
			return false
		}
		dir = path.Dir(dir)
	}
}

func (c *check) missingLock(manifest string, locks []string) {
	observed := manifest + " without " + strings.Join(locks, " or ")
	for _, l := range locks {
		if p := path.Join(path.Dir(manifest), l); c.context.ignored[p] {
			observed = p + " exists, but " + c.context.ignoreFile + " keeps it away"
		}
	}
	if path.Base(manifest) == "go.mod" && c.context.emptyGoMod(manifest) {
		return
	}
	c.add(audit.Finding{
		Verdict: audit.Warn, Artifact: c.context.artifact, Locator: audit.Locator{Path: manifest, StartLine: 1, EndLine: 1},
		Observed: observed, Expected: "the lock file beside it",
	})
}

// emptyGoMod reports whether a module has no requirements, and so no go.sum.
func (bc *buildContext) emptyGoMod(file string) bool { return bc.noRequirements[file] }

func (c *check) notApplicableContext() {
	c.add(audit.Finding{Verdict: audit.Unknown, Needs: "the build context", Artifact: audit.Artifact{Kind: audit.Context, Name: c.artifact.Name + " (context)"}})
}
