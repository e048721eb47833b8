package dockerfile

import (
	"path"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule24e = rule{audit.Rule{
	ID: "CHG-2.4e", Title: "Stages hand over files, not file systems", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "COPY --from=build / / brings the build stage's tools, caches and secrets along.",
	Fix:      "Name the results: COPY --from=build /out/app /app.",
	Evidence: "line and source",
}, func(c *check) {
	c.held = "no COPY --from takes a whole file system or home directory"
	c.each(func(in *instr) {
		cmd, ok := in.cmd.(*instructions.CopyCommand)
		if !ok || cmd.From == "" || !c.inFinalImage(in) {
			return
		}
		for _, src := range cmd.SourcePaths {
			switch path.Clean("/" + src) {
			case "/", "/*", "/etc", "/root", "/home", "/usr", "/var":
				if c.prepared(in, cmd) {
					continue
				}
				c.fail(spot{in: in, observed: "COPY --from=" + cmd.From + " " + src, expected: "the files that are needed"})
			}
		}
	})
}}

// prepared reports whether the source stage is scratch-like: then its file
// system is what somebody put together on purpose.
func (f *file) prepared(in *instr, cmd *instructions.CopyCommand) bool {
	s := f.findFrom(cmd.From, in.stage.index)
	return s != nil && f.rootBase(s) == "scratch"
}
