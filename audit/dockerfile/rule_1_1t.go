package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11t = rule{audit.Rule{
	ID: "CHG-1.1t", Title: "COPY and ADD say where to", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3021", "DL3045", "DS-0011"},
	Why:      "Several sources need a directory, written with a slash; a relative destination depends on a WORKDIR that is not there.",
	Fix:      "End the destination with / for several sources, and set WORKDIR before a relative one.",
	Evidence: "line and destination",
}, func(c *check) {
	c.held = "every destination is a place that the file shows"
	c.each(func(in *instr) {
		var sd instructions.SourcesAndDest
		switch cmd := in.cmd.(type) {
		case *instructions.CopyCommand:
			sd = cmd.SourcesAndDest
		case *instructions.AddCommand:
			sd = cmd.SourcesAndDest
		default:
			return
		}
		dest := c.expand(sd.DestPath, environment(in.stage.env))
		if len(sd.SourcePaths)+len(sd.SourceContents) > 1 && !strings.HasSuffix(dest, "/") && !strings.HasSuffix(dest, `\`) && dest != "." && dest != ".." && !strings.Contains(dest, "$") {
			c.fail(spot{in: in, alias: "DL3021", observed: "several sources to " + dest, expected: dest + "/"})
		}
		if relative(dest) && !in.onbuild && !c.workdirBefore(in) && !c.maybeBaseWorkdir(in) {
			c.warn(spot{in: in, alias: "DL3045", observed: "destination " + dest + " without a WORKDIR", expected: "an absolute path, or WORKDIR before it"})
		}
	})
}}

func relative(p string) bool {
	return !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "$") && !strings.HasPrefix(p, `\`) && (len(p) < 2 || p[1] != ':')
}

func (f *file) workdirBefore(at *instr) bool {
	for s := at.stage; s != nil; s = s.parent {
		for _, in := range s.instrs {
			if in.name == "WORKDIR" && !in.onbuild && in.start < at.start {
				return true
			}
		}
	}
	return false
}

// maybeBaseWorkdir reports whether the external base of the stage may bring a
// working directory of its own, as golang and others do.
func (f *file) maybeBaseWorkdir(at *instr) bool {
	s := at.stage
	for s.parent != nil {
		s = s.parent
	}
	n := parseImage(s.base)
	return s.base != "scratch" && (n.registry != "docker.io" || strings.HasPrefix(n.path, "library/golang") || !strings.HasPrefix(n.path, "library/"))
}
