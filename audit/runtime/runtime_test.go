package runtime

import (
	"slices"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/workload"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
	"github.com/hardstand/hardstand/internal/deptest"
)

func profile() Profile {
	return Profile{Name: "web", Reference: "registry.example/web@sha256:" + strings.Repeat("a", 64), Program: "/app", Port: 8080,
		Check: []string{"/bin/probe", ":${PORT:-8080}/healthz"}, Tmpfs: []string{"/tmp"}, Decoys: []string{"/usr/bin/wget"}, Tokens: []string{"/root/.aws/credentials"}}
}

// documents is Kubernetes as one text.
func documents(p Profile) ([]byte, error) {
	files, err := Kubernetes(p)
	return Documents(files), err
}

// TestPassesItsOwnAudit: nothing that is generated breaks a rule, and
// everything is decoded strictly.
func TestPassesItsOwnAudit(t *testing.T) {
	for _, tt := range []struct {
		kind  audit.Kind
		write func(Profile) ([]byte, error)
	}{{audit.Docker, Docker}, {audit.Compose, Compose}, {audit.Kubernetes, documents}, {audit.ECS, ECS}} {
		for name, p := range profiles() {
			t.Run(string(tt.kind)+"-"+name, func(t *testing.T) {
				data, err := tt.write(p)
				if err != nil {
					t.Fatal(err)
				}
				res, err := workload.Audit(t.Context(), workload.Input{Name: "x", Kind: tt.kind, Data: data}, workload.Options{Compose: composefile.Read})
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

func TestDockerIsOneCommand(t *testing.T) {
	data, err := Docker(profile())
	if err != nil {
		t.Fatal(err)
	}
	words, err := DockerArgs(profile())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(strings.ReplaceAll(string(data), "\\\n", " ")); !slices.Equal(got, words) {
		t.Errorf("the text has %q, the words are %q", got, words)
	}
}

func TestTLSOfTheProbe(t *testing.T) {
	const flags = "/bin/probe --ca-file /ca.pem --server-name x "
	for check, want := range map[string]string{
		"/bin/probe":               flags + "https://localhost:8443/",
		"/bin/probe :9000/healthz": flags + "https://localhost:9000/healthz",
		"/bin/probe 9000":          flags + "https://localhost:9000/",
		"/bin/probe /healthz":      flags + "https://localhost:8443/healthz",
		"/bin/probe --timeout 3s -v http://localhost/": flags + "--timeout 3s -v https://localhost/",
		"/bin/probe grpc://:9000 tcp://:1":             flags + "grpcs://:9000 tls://:1",
		"/bin/probe unix:///run/app.sock":              flags + "unix:///run/app.sock",
		"/bin/probe localhost:1/x":                     flags + "https://localhost:1/x",
	} {
		got, err := TLS{CA: "/ca.pem", ServerName: "x"}.applied(strings.Fields(check), 8443)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s becomes %v, %v; want %s", check, got, err, want)
		}
	}
	for name, tls := range map[string]TLS{"half": {Cert: "/a"}, "secret": {Secret: "A b"}} {
		if _, err := tls.applied([]string{"/bin/probe"}, 0); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (TLS{CA: "/ca"}).applied([]string{"/app", "health"}, 0); err == nil {
		t.Error("the flags of an unknown program were made up")
	}
}

func TestRefusesWhatWouldNeedQuoting(t *testing.T) {
	for name, change := range map[string]func(*Profile){
		"name": func(p *Profile) { p.Name = "a\nb" }, "tag": func(p *Profile) { p.Reference = "web:1" },
		"root": func(p *Profile) { p.User = "0:0" }, "tmpfs": func(p *Profile) { p.Tmpfs = []string{"/tmp:exec"} },
		"check": func(p *Profile) { p.Check = []string{"/bin/probe", "a'b"} }, "none": func(p *Profile) { p.Check = nil },
		"dots": func(p *Profile) { p.Tokens = []string{"/a/../b"} }, "memory": func(p *Profile) { p.MemoryMiB = 1 },
		"namespace": func(p *Profile) { p.Namespace = "a: b" }, "region": func(p *Profile) { p.Region = "x\"" }, "platform": func(p *Profile) { p.Platform = "plan9/386" },
		"egress": func(p *Profile) { p.Egress = []string{"10.0.0.0:5432"} }, "egress-port": func(p *Profile) { p.Egress = []string{"10.0.0.0/8:0"} },
		"tls": func(p *Profile) { p.TLS.CA = "ca.pem" },
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
	if _, err := Seccomp(names, "linux/mips"); err == nil {
		t.Error("a profile for an unknown platform was written")
	}
	for platform, want := range map[string][]string{"linux/amd64": {`"SCMP_ARCH_X86_64"`}, "linux/arm64": {`"SCMP_ARCH_AARCH64"`, `"epoll_pwait"`}} {
		data, err := Seccomp(names, platform)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "archMap") || !strings.Contains(string(data), `"architectures"`) {
			t.Errorf("%s: Docker refuses a profile with both forms, and others read only this one:\n%s", platform, data)
		}
		for _, w := range want {
			if !strings.Contains(string(data), w) {
				t.Errorf("%s: no %s", platform, w)
			}
		}
	}
	for old, list := range successors {
		for _, name := range append([]string{old}, list...) {
			if !known()[name] {
				t.Errorf("%s is no system call", name)
			}
		}
		if strings.Contains(arm64, " "+old+"\n") {
			t.Errorf("arm64 has %s", old)
		}
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
