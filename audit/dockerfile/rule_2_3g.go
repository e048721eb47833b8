package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule23g = rule{audit.Rule{
	ID: "CHG-2.3g", Title: "Repositories are fetched at a commit", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "A branch moves, and a tag can be moved.",
	Fix:      "git clone URL d && git -C d checkout <full commit id>, or ADD https://host/repo.git#<commit>.",
	Evidence: "line and repository",
}, func(c *check) {
	c.held = "no git clone without a commit"
	c.each(func(in *instr) {
		calls := c.calls(in)
		pinned := false
		for _, call := range calls {
			sub, ops := call.sub()
			if call.name == "git" && (sub == "checkout" || sub == "reset" || sub == "switch" || call.has("checkout", "reset")) {
				for _, o := range ops {
					pinned = pinned || commitID(o) || strings.Contains(o, "$")
				}
			}
		}
		for _, call := range calls {
			if sub, _ := call.sub(); call.name == "git" && sub == "clone" && !pinned && !c.contextVerified(call) {
				c.fail(spot{in: in, observed: "git clone " + redact(call.url()) + " without a commit", expected: "a checkout of a full commit id in the same RUN"})
				return
			}
		}
	})
}}

// contextVerified leaves out clones at a revision that is a commit id or a
// variable, which another line pins.
func (c *check) contextVerified(call call) bool {
	for i, a := range call.args {
		if (a == "-b" || a == "--branch" || a == "--revision") && i+1 < len(call.args) {
			return commitID(call.args[i+1])
		}
		if rest, ok := strings.CutPrefix(a, "--revision="); ok {
			return commitID(rest) || strings.HasPrefix(rest, "$")
		}
	}
	return false
}
