package workload

import (
	"github.com/hardstand/hardstand/audit"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sync"
)

var rule33v = rule{Rule: audit.Rule{
	ID: "CHG-3.3v", Title: "Pods meet the Pod Security Standard restricted", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Kubernetes},
	Aliases:  []string{"PSS-restricted"},
	Why:      "It is the set of rules that clusters enforce by a label on the namespace.",
	Fix:      "What is forbidden is named; hardstand runtime kubernetes IMAGE writes a pod that is allowed.",
	Evidence: "the official checks that refuse, and their words",
}, whole: func(c *check) {
	c.method = "k8s.io/pod-security-admission, level restricted, latest version"
	for _, p := range c.pods {
		k := &container{doc: p.doc, name: p.name}
		eval, err := evaluator()
		if err != nil {
			c.unknown(k, p.at, "the checks of Pod Security: "+err.Error())
			continue
		}
		ok := true
		for _, r := range eval.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &p.meta, &p.spec) {
			if !r.Allowed {
				ok = false
				c.fail(k, p.at, shorten(r.ForbiddenReason+": "+r.ForbiddenDetail), "allowed at restricted")
			}
		}
		if ok {
			c.pass(k, p.at, "allowed")
		}
	}
}}

var evaluator = sync.OnceValues(func() (policy.Evaluator, error) { return policy.NewEvaluator(policy.DefaultChecks(), nil) })
