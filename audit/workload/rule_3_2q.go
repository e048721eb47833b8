package workload

import (
	"fmt"
	"github.com/hardstand/hardstand/audit"
	"strings"
)

var rule32q = rule{Rule: audit.Rule{
	ID: "CHG-3.2q", Title: "Something watches system calls at run time", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Kubernetes},

	Why:      "An intruder who made no other mistake is seen by system calls only.",
	Fix:      "hardstand runtime falco IMAGE writes rules for one image; install Falco or Tetragon as a DaemonSet.",
	Evidence: "the workload or the rules",
}, whole: func(c *check) {
	c.method = "workloads of Falco or Tetragon, tracing policies and Falco rules in the file"
	if len(c.docs) == 0 {
		return
	}
	seen := false
	for _, k := range c.containers {
		if strings.Contains(k.image.value, "falco") || strings.Contains(k.image.value, "tetragon") {
			seen = true
			c.pass(k, k.at, shorten(k.image.value))
		}
	}
	for _, d := range c.docs {
		m := object(d.value)
		k := &container{doc: d, name: shorten(text(m["kind"]) + " " + text(object(m["metadata"])["name"]))}
		switch kind := text(m["kind"]); {
		case kind == "TracingPolicy" || kind == "TracingPolicyNamespaced":
			seen = true
			if n := hooks(object(m["spec"])); n == 0 {
				c.fail(k, "/spec", "it traces nothing", "kprobes, tracepoints, lsmhooks or uprobes")
			} else {
				c.pass(k, "/spec", fmt.Sprintf("%d hooks", n))
			}
		case kind == "ConfigMap" && strings.Contains(text(object(m["metadata"])["name"]), "falco"):
			seen = true
			c.falco(k, object(m["data"]))
		}
	}
	if !seen && len(c.containers) > 0 {
		c.add(nil, "", audit.Finding{Verdict: audit.Unknown, Needs: "the manifests or rules of Falco or Tetragon, or an export of GuardDuty's get-detector"})
	}
}}

func hooks(spec map[string]any) int {
	n := 0
	for _, key := range []string{"kprobes", "tracepoints", "lsmhooks", "uprobes"} {
		n += len(array(spec[key]))
	}
	return n
}

// falco counts the rules of a ConfigMap that are on.
func (c *check) falco(k *container, data map[string]any) {
	on, off := 0, 0
	for _, v := range data {
		docs, err := parse([]byte(text(v)), false)
		if err != nil {
			continue // its other files may hold rules
		}
		for _, d := range docs {
			for _, item := range array(d.value) {
				if m := object(item); m["rule"] != nil && m["enabled"] == false {
					off++
				} else if m["rule"] != nil {
					on++
				}
			}
		}
	}
	if on == 0 {
		c.fail(k, "/data", fmt.Sprintf("no rule is on, %d are off", off), "rules that are on")
		return
	}
	c.pass(k, "/data", fmt.Sprintf("%d rules", on))
}
