package workflow

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/audit"
)

var rule23f = rule{audit.Rule{
	ID: "CHG-2.3f", Title: "Actions and container jobs are pinned", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Workflow},
	Why:      "An action's tag can be moved to other code, which then runs with the job's token and secrets.",
	Fix:      "Write the full commit id, and the version as a comment: uses: actions/checkout@<40 hex digits> # v5. Images take @sha256.",
	Evidence: "line, pointer and reference",
}, func(c *check) {
	c.method = "every uses, container and services entry of the workflow"
	n := 0
	judge := func(v *yaml.Node, pointer string) {
		if v == nil || v.Kind != yaml.ScalarNode {
			return
		}
		n++
		if want := unpinnedAction(v.Value); want != "" {
			c.add(audit.Finding{Verdict: audit.Fail, Locator: c.at(v, pointer), Observed: "uses " + v.Value, Expected: want})
		}
	}
	image := func(v *yaml.Node, pointer string) {
		if v == nil {
			return
		}
		if v.Kind == yaml.MappingNode {
			v, pointer = child(v, "image"), pointer+"/image"
		}
		if v != nil && v.Kind == yaml.ScalarNode && v.Value != "" && !strings.Contains(v.Value, "${{") {
			n++
			if !strings.Contains(v.Value, "@sha256:") {
				c.add(audit.Finding{Verdict: audit.Fail, Locator: c.at(v, pointer), Observed: "image " + v.Value, Expected: v.Value + "@sha256:..."})
			}
		}
	}
	steps := func(list *yaml.Node, pointer string) {
		if list == nil || list.Kind != yaml.SequenceNode {
			return
		}
		for i, step := range list.Content {
			judge(child(step, "uses"), fmt.Sprintf("%s/%d/uses", pointer, i))
		}
	}
	fields(child(c.root, "jobs"), func(name string, job *yaml.Node) {
		base := "/jobs/" + escape(name)
		judge(child(job, "uses"), base+"/uses")
		steps(child(job, "steps"), base+"/steps")
		image(child(job, "container"), base+"/container")
		fields(child(job, "services"), func(service string, v *yaml.Node) { image(v, base+"/services/"+escape(service)) })
	})
	// A composite action has its steps elsewhere.
	steps(child(child(c.root, "runs"), "steps"), "/runs/steps")
	c.held = fmt.Sprintf("%d references, all pinned", n)
}}

// unpinnedAction returns what is expected in place of a reference, or "".
func unpinnedAction(uses string) string {
	switch {
	case strings.HasPrefix(uses, "./"), strings.Contains(uses, "${{"):
		return ""
	case strings.HasPrefix(uses, "docker://"):
		if strings.Contains(uses, "@sha256:") {
			return ""
		}
		return uses + "@sha256:..."
	}
	name, ref, ok := strings.Cut(uses, "@")
	if ok && (len(ref) == 40 || len(ref) == 64) && strings.Trim(ref, "0123456789abcdef") == "" {
		return ""
	}
	return name + "@<full commit id>"
}

// escape writes a key as a part of a JSON pointer (RFC 6901).
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
