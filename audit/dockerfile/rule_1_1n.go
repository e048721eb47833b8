package dockerfile

import (
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11n = rule{audit.Rule{
	ID: "CHG-1.1n", Title: "COPY and ADD do not name ignored files", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"CopyIgnoredFile"},
	Why:      "A file that .dockerignore keeps away never reaches the builder, so the build fails or copies less than meant.",
	Fix:      "Let the file through with an exception in .dockerignore (!path), or do not copy it.",
	Evidence: "line, source and pattern file",
}, func(c *check) {
	if c.context == nil {
		c.unknown("the build context with its .dockerignore", "")
		return
	}
	c.held = "no source is ignored"
	c.method = "sources matched against " + strings.TrimSpace("the context's ignore file "+c.context.ignoreFile)
	c.each(func(in *instr) {
		for _, src := range localSources(in) {
			p := strings.TrimPrefix(path.Clean("/"+c.expand(src, environment(in.stage.env))), "/")
			if p == "" || strings.ContainsAny(p, "*?[$") {
				continue
			}
			if c.context.excluded(p) && !c.context.sentBelow(p) {
				c.warn(spot{in: in, observed: src + " is excluded by " + c.context.ignoreFile, expected: "a source that reaches the builder"})
			}
		}
	})
}}

// sentBelow reports whether an exception lets something below a directory
// through.
func (bc *buildContext) sentBelow(dir string) bool {
	for _, f := range bc.files {
		if f == dir || strings.HasPrefix(f, dir+"/") {
			return true
		}
	}
	return false
}

// localSources lists the sources of COPY and ADD that lie in the context.
func localSources(in *instr) []string {
	var list []string
	switch cmd := in.cmd.(type) {
	case *instructions.CopyCommand:
		if cmd.From == "" {
			list = cmd.SourcePaths
		}
	case *instructions.AddCommand:
		for _, s := range cmd.SourcePaths {
			if !remoteSource(s) {
				list = append(list, s)
			}
		}
	}
	return list
}
