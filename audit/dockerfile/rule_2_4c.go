package dockerfile

import (
	"path"

	"github.com/hardstand/hardstand/audit"
)

var rule24c = rule{audit.Rule{
	ID: "CHG-2.4c", Title: "No recursive copies of the whole context", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "COPY . . takes whatever lies around on the day of the build, also what nobody meant to ship.",
	Fix:      "Name what is needed: COPY go.mod go.sum ./ and COPY cmd ./cmd. In a build stage a deny-by-default .dockerignore does it too.",
	Evidence: "line, and whether the layer ends up in the image",
}, func(c *check) {
	c.held = "every copy names what it takes"
	deny := c.context != nil && c.context.denyByDefault()
	c.each(func(in *instr) {
		for _, src := range localSources(in) {
			p := path.Clean("/" + c.expand(src, environment(in.stage.env)))
			if p != "/" && p != "/*" {
				continue
			}
			observed := in.name + " " + src + " takes the whole context"
			switch {
			case deny:
			case in.onbuild || !c.inFinalImage(in):
				c.warn(spot{in: in, observed: observed + " into a build stage", expected: "named sources, or a .dockerignore that denies by default"})
			case c.context == nil:
				c.warn(spot{in: in, observed: observed + " into the image; the .dockerignore was not looked at", expected: "named sources"})
			default:
				c.fail(spot{in: in, observed: observed + " into the image", expected: "named sources, or a .dockerignore that denies by default"})
			}
		}
	})
}}
