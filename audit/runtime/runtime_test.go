package runtime

import (
	"strings"
	"testing"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/workload"
	"github.com/hardstand/hardstand/internal/deptest"
)

func profile() Profile {
	return Profile{Name: "web", Reference: "registry.example/web@sha256:" + strings.Repeat("a", 64), Program: "/app", Port: 8080,
		Check: []string{"/bin/probe", ":${PORT:-8080}/healthz"}, Tmpfs: []string{"/tmp"}, Decoys: []string{"/usr/bin/wget"}, Tokens: []string{"/root/.aws/credentials"}}
}

// TestPassesItsOwnAudit: nothing that is generated breaks a rule, and
// everything is decoded strictly.
func TestPassesItsOwnAudit(t *testing.T) {
	for _, tt := range []struct {
		kind  audit.Kind
		write func(Profile) ([]byte, error)
	}{{audit.Docker, Docker}, {audit.Compose, Compose}, {audit.Kubernetes, Kubernetes}, {audit.ECS, ECS}} {
		for name, change := range map[string]func(*Profile){
			"whole": func(*Profile) {}, "bare": func(p *Profile) { p.Port, p.Tmpfs = 0, nil }, "exec": func(p *Profile) { p.Exec = true },
		} {
			t.Run(string(tt.kind)+"-"+name, func(t *testing.T) {
				p := profile()
				change(&p)
				data, err := tt.write(p)
				if err != nil {
					t.Fatal(err)
				}
				res, err := workload.Audit(t.Context(), workload.Input{Name: "x", Kind: tt.kind, Data: data}, workload.Options{})
				if err != nil {
					t.Fatalf("%v\n%s", err, data)
				}
				if res.Containers != 1 || len(res.Notes) > 0 {
					t.Errorf("%d containers, notes %v", res.Containers, res.Notes)
				}
				for _, f := range res.Findings {
					if f.Broken() {
						t.Errorf("%s %s: %s\n%s", f.Rule, f.Verdict, f.Observed, data)
					}
				}
			})
		}
	}
}

func TestFalcoRulesAreYAML(t *testing.T) {
	data, err := Falco(profile())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"required_engine_version: 0.57.0", `"/usr/bin/wget"`, `"/root/.aws/credentials"`, `container.image.repository = "registry.example/web"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in\n%s", want, data)
		}
	}
	manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: falco-rules}\ndata:\n  rules.yaml: |\n    " + strings.ReplaceAll(string(data), "\n", "\n    ")
	res, err := workload.Audit(t.Context(), workload.Input{Name: "x", Kind: audit.Kubernetes, Data: []byte(manifest)}, workload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	passed := false
	for _, f := range res.Findings {
		passed = passed || f.Rule == "CHG-3.2q" && f.Verdict == audit.Pass && strings.Contains(f.Observed, "4 rules")
	}
	if !passed {
		t.Errorf("the audit does not see four rules: %+v", res.Findings)
	}
}

func TestRefusesWhatWouldNeedQuoting(t *testing.T) {
	for name, change := range map[string]func(*Profile){
		"name": func(p *Profile) { p.Name = "a\nb" }, "tag": func(p *Profile) { p.Reference = "web:1" },
		"root": func(p *Profile) { p.User = "0:0" }, "tmpfs": func(p *Profile) { p.Tmpfs = []string{"/tmp:exec"} },
		"check": func(p *Profile) { p.Check = []string{"/bin/probe", "a'b"} }, "none": func(p *Profile) { p.Check = nil },
		"dots": func(p *Profile) { p.Tokens = []string{"/a/../b"} }, "memory": func(p *Profile) { p.MemoryMiB = 1 },
	} {
		p := profile()
		change(&p)
		if data, err := Docker(p); err == nil {
			t.Errorf("%s: written all the same:\n%s", name, data)
		}
	}
}

func TestSeccomp(t *testing.T) {
	log := `audit: type=1326 audit(1.2:3): uid=65532 pid=7 comm="app" exe="/app" sig=0 arch=c000003e syscall=41 compat=0 ip=0x1 code=0x7ffc0000
type=1326 pid=8 comm="other" arch=c000003e syscall=2 compat=0
type=1326 pid=8 comm="app" arch=c00000b7 syscall=56 compat=0
`
	names, err := Observe(strings.NewReader(log), "app")
	if err != nil || strings.Join(names, " ") != "openat socket" {
		t.Fatalf("%v, %v", names, err)
	}
	names, err = Observe(strings.NewReader("[pid 12] epoll_wait(4, ...\n123 write(1, \"x\") = 1\nnonsense(1)\n+++ exited\n"), "")
	if err != nil || strings.Join(names, " ") != "epoll_wait write" {
		t.Fatalf("%v, %v", names, err)
	}
	data, err := Seccomp(names)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"exit_group"`, `"getdents64"`, `"fstatfs"`, `"epoll_wait"`, `"SCMP_ACT_ERRNO"`, "SCMP_ARCH_AARCH64"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in the profile", want)
		}
	}
	if _, err := Seccomp(nil); err == nil {
		t.Error("a profile without any observation was written")
	}
}

func FuzzObserve(f *testing.F) {
	f.Add([]byte("arch=c000003e syscall=41\n[pid 1] write(1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := Observe(strings.NewReader(string(data)), "")
		for _, n := range names {
			if err == nil && !known()[n] {
				t.Fatalf("%q is no system call", n)
			}
		}
	})
}

func TestBoundary(t *testing.T) {
	// The package itself; its tests use audit/workload, the generators do not.
	deptest.Check(t, deptest.Allow{})
}
