<<<<<<< HEAD
package runtime

import (
	"strings"
	"testing"

	"github.com/hardstand/hardstand/audit"
=======
package runtime_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"gopkg.in/yaml.v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	kjson "sigs.k8s.io/json"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/runtime"
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
	"github.com/hardstand/hardstand/audit/workload"
	"github.com/hardstand/hardstand/internal/deptest"
)

<<<<<<< HEAD
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
=======
const reference = "registry.example/shop/hello:1.4.2@sha256:caa2781e7d8880b2e0b4ffc4ce72e602f39aa0b3f9b6ccee2ab32ce620c1008d"

// picture makes an image with a config and files.
func picture(t *testing.T, config v1.Config, layers ...[]string) v1.Image {
	t.Helper()
	img := empty.Image
	for _, files := range layers {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		for _, f := range files {
			if err := w.WriteHeader(&tar.Header{Name: f, Mode: 0o755, Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.Config, file.OS, file.Architecture = config, "linux", "amd64"
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	return img
}

func inspect(t *testing.T, config v1.Config, layers ...[]string) runtime.Image {
	t.Helper()
	out, err := runtime.Inspect(picture(t, config, layers...), reference)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hello is an image as hardstand wrap makes it.
func hello(t *testing.T) runtime.Image {
	t.Helper()
	return inspect(t, v1.Config{
		User: "65532:65532", Entrypoint: []string{"/usr/local/bin/hello"}, ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/bin/probe"}},
	}, []string{"bin/probe", "usr/local/bin/hello"})
}

type format struct {
	file  string
	kind  audit.Kind
	write func(runtime.Image, runtime.Options) ([]byte, error)
	opts  runtime.Options
}

// awkward holds what a format could read as something of its own.
var awkward = []string{`GREETING=it's "$HOME" $(HOME) ${HOME} #1: {yes}`}

var formats = []format{
	{"docker.sh", audit.Docker, runtime.Docker, runtime.Options{Seccomp: "/etc/app/seccomp.json", Env: awkward}},
	{"compose.yaml", audit.Compose, runtime.Compose, runtime.Options{Seccomp: "/etc/app/seccomp.json", Env: awkward}},
	{"kubernetes.yaml", audit.Kubernetes, runtime.Kubernetes, runtime.Options{Namespace: "shop", Env: awkward, Check: []string{"grpcs://:9000", "--ca-file", "/certs/ca.pem"}}},
	{"kubernetes-http.yaml", audit.Kubernetes, runtime.Kubernetes, runtime.Options{HTTPGet: "/healthz", Replicas: 2}},
	{"ecs.json", audit.ECS, runtime.ECS, runtime.Options{Env: awkward, LogGroup: "/shop", Region: "eu-central-1", ExecutionRole: "arn:aws:iam::123456789012:role/execution"}},
	{"ecs-ec2.json", audit.ECS, runtime.ECS, runtime.Options{EC2: true, Memory: 1 << 30, CPU: 1500}},
	{"falco.yaml", "", runtime.Falco, runtime.Options{Decoys: []string{"/bin/sh", "/usr/bin/wget"}, Tokens: []string{"/home/nonroot/.aws/credentials"}, Allow: []string{"/usr/local/bin/migrate up"}}},
}

// TestFormats compares each format with its file, UPDATE=1 writes it, and has
// the workload rules judge it: no rule may fail or warn.
func TestFormats(t *testing.T) {
	img := hello(t)
	for _, f := range formats {
		t.Run(f.file, func(t *testing.T) {
			got, err := f.write(img, f.opts)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", f.file)
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("UPDATE=1 accepts this:\n%s", diff)
			}
			if f.kind != "" {
				judge(t, f.kind, f.file, got)
			}
		})
	}
}

func judge(t *testing.T, kind audit.Kind, name string, data []byte) {
	t.Helper()
	res, err := workload.Audit(t.Context(), workload.Input{Name: name, Kind: kind, Data: data}, workload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, f := range res.Findings {
		switch f.Verdict {
		case audit.Pass:
			passed++
		case audit.Fail, audit.Warn:
			t.Errorf("%s %s: %s, want %s", f.Rule, f.Verdict, f.Observed, f.Expected)
		}
	}
	if passed < 10 {
		t.Errorf("only %d rules pass: was it read?", passed)
	}
}

// documents turns YAML documents into JSON.
func documents(t *testing.T, data []byte) [][]byte {
	t.Helper()
	var list [][]byte
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var v any
		if err := dec.Decode(&v); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, out)
	}
}

func strict(t *testing.T, data []byte, into any) {
	t.Helper()
	faults, err := kjson.UnmarshalStrict(data, into)
	if err != nil || len(faults) > 0 {
		t.Fatalf("%v %v", err, faults)
	}
}

func TestKubernetesDecodesStrictlyAndIsAllowed(t *testing.T) {
	for _, o := range []runtime.Options{{Namespace: "shop", Env: awkward}, {HTTPGet: "/healthz"}} {
		data, err := runtime.Kubernetes(hello(t), o)
		if err != nil {
			t.Fatal(err)
		}
		docs := documents(t, data)
		if len(docs) != 2 {
			t.Fatalf("%d documents, want a Deployment and a Service", len(docs))
		}
		var d appsv1.Deployment
		var s corev1.Service
		strict(t, docs[0], &d)
		strict(t, docs[1], &s)
		eval, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
		if err != nil {
			t.Fatal(err)
		}
		results := eval.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec)
		if len(results) < 10 {
			t.Errorf("only %d checks ran", len(results))
		}
		for _, r := range results {
			if !r.Allowed {
				t.Errorf("%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
			}
		}
		if name := d.Spec.Template.Spec.Containers[0].Ports[0].Name; s.Spec.Ports[0].TargetPort.StrVal != name || len(name) > 15 {
			t.Errorf("the Service names port %s, the container %s", s.Spec.Ports[0].TargetPort.StrVal, name)
		}
		limits := d.Spec.Template.Spec.Containers[0].Resources.Limits
		if limits.Memory().Value() != 128<<20 || limits.Cpu().MilliValue() != 500 {
			t.Errorf("limits %v", limits)
		}
	}
}

func TestComposeLoads(t *testing.T) {
	data, err := runtime.Compose(hello(t), runtime.Options{Env: awkward})
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: t.TempDir(), ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: data}}, Environment: types.Mapping{"HOME": "wrong"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Services["hello"]
	name, want, _ := strings.Cut(awkward[0], "=")
	if got := s.Environment[name]; got == nil || *got != want {
		t.Errorf("%s arrives as %v, want %s", name, got, want)
	}
	if !s.ReadOnly || s.User != "65532:65532" || int64(s.MemLimit) != 128<<20 || s.CPUS != 0.5 || s.PidsLimit != 100 || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("%+v", s)
	}
	if diff := cmp.Diff([]string{"CMD", "/bin/probe"}, []string(s.HealthCheck.Test)); diff != "" {
		t.Error(diff)
	}
}

func TestECSDecodesStrictly(t *testing.T) {
	for _, o := range []runtime.Options{{Env: awkward, LogGroup: "/shop", Region: "eu-central-1"}, {EC2: true}} {
		data, err := runtime.ECS(hello(t), o)
		if err != nil {
			t.Fatal(err)
		}
		var in ecs.RegisterTaskDefinitionInput
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			t.Fatal(err)
		}
		c := in.ContainerDefinitions[0]
		if !*c.ReadonlyRootFilesystem || *c.User != "65532:65532" || c.LinuxParameters.Capabilities.Drop[0] != "ALL" {
			t.Errorf("%+v", c)
		}
		if fargate := !o.EC2; fargate && (c.DockerSecurityOptions != nil || c.LinuxParameters.Tmpfs != nil || c.Privileged != nil) {
			t.Error("Fargate refuses security options, tmpfs and privileged")
		}
	}
}

func TestFargateSizes(t *testing.T) {
	for _, c := range []struct {
		cpu         int
		memory      int64
		units, size string
	}{
		{250, 128 << 20, "256", "512"}, {250, 513 << 20, "256", "1024"}, {250, 3 << 30, "512", "3072"}, {600, 128 << 20, "1024", "2048"},
		{4000, 9 << 30, "4096", "9216"}, {8000, 17 << 30, "8192", "20480"}, {16000, 33 << 30, "16384", "40960"},
	} {
		data, err := runtime.ECS(hello(t), runtime.Options{CPU: c.cpu, Memory: c.memory})
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ CPU, Memory string }
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.CPU != c.units || got.Memory != c.size {
			t.Errorf("%d, %d: %+v, want %s, %s", c.cpu, c.memory, got, c.units, c.size)
		}
	}
	if _, err := runtime.ECS(hello(t), runtime.Options{Memory: 200 << 30}); err == nil {
		t.Error("200 GiB fit on Fargate")
	}
}

// TestFalcoStructure checks what Falco would complain about: every list and
// macro is defined before its use, and every rule has what a rule needs.
func TestFalcoStructure(t *testing.T) {
	data, err := os.ReadFile("testdata/falco.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var items []struct {
		Engine    string           `yaml:"required_engine_version"`
		Plugins   []map[string]any `yaml:"required_plugin_versions"`
		List      string
		Items     []string
		Macro     string
		Rule      string
		Desc      string
		Condition string
		Output    string
		Priority  string
		Tags      []string
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&items); err != nil {
		t.Fatal(err)
	}
	if items[0].Engine == "" || len(items[1].Plugins) != 1 {
		t.Error("the engine and the plugin are not required first")
	}
	defined, rules := map[string]bool{}, map[string]bool{}
	for _, i := range items[2:] {
		for _, word := range strings.FieldsFunc(i.Condition, func(r rune) bool { return strings.ContainsRune(" (),", r) }) {
			if strings.HasPrefix(word, "hardstand_") && !defined[word] {
				t.Errorf("%s is used before it is defined", word)
			}
		}
		if strings.Count(i.Condition, "(") != strings.Count(i.Condition, ")") {
			t.Errorf("parentheses in %s", i.Condition)
		}
		defined[i.List+i.Macro] = true
		if i.Rule != "" {
			if rules[i.Rule] || i.Desc == "" || i.Condition == "" || i.Output == "" || i.Priority != "CRITICAL" || len(i.Tags) == 0 {
				t.Errorf("%+v", i)
			}
			rules[i.Rule] = true
		}
	}
	if len(rules) != 4 {
		t.Errorf("%d rules, want 4", len(rules))
	}
}

func TestInspect(t *testing.T) {
	entry := []string{"/app"}
	probe := []string{"bin/probe"}
	for name, c := range map[string]struct {
		img  runtime.Image
		want runtime.Image
	}{
		"root becomes the numeric user": {inspect(t, v1.Config{User: "root", Entrypoint: entry}), runtime.Image{UID: 65532, GID: 65532}},
		"a user without group":          {inspect(t, v1.Config{User: "1000", Entrypoint: entry}), runtime.Image{UID: 1000, GID: 1000}},
		"group 0 is not kept":           {inspect(t, v1.Config{User: "1000:0", Entrypoint: entry}), runtime.Image{UID: 1000, GID: 1000}},
		"a shell's health check is not used": {
			inspect(t, v1.Config{Entrypoint: entry, Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", "curl -f localhost"}}}),
			runtime.Image{UID: 65532, GID: 65532, HealthFault: "the image's health check needs a shell"},
		},
		"the probe is found": {inspect(t, v1.Config{Entrypoint: entry}, probe), runtime.Image{UID: 65532, GID: 65532, Probe: "/bin/probe"}},
		"a removed probe is not": {
			inspect(t, v1.Config{Entrypoint: entry}, probe, []string{"bin/.wh.probe"}), runtime.Image{UID: 65532, GID: 65532},
		},
		"ports in order": {
			inspect(t, v1.Config{Entrypoint: entry, ExposedPorts: map[string]struct{}{"9000": {}, "53/udp": {}}}),
			runtime.Image{UID: 65532, GID: 65532, Ports: []runtime.Port{{Number: 53, Protocol: "udp"}, {Number: 9000, Protocol: "tcp"}}},
		},
	} {
		c.want.Reference, c.want.Architecture, c.want.Entrypoint = reference, "amd64", entry
		if diff := cmp.Diff(c.want, c.img); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	if _, err := runtime.Inspect(picture(t, v1.Config{}), reference); err == nil {
		t.Error("an image that starts nothing is accepted")
	}
}

func TestRefused(t *testing.T) {
	img := hello(t)
	bare := inspect(t, v1.Config{Entrypoint: []string{"/app"}})
	tagged := img
	tagged.Reference = "registry.example/hello:1"
	for name, write := range map[string]func() ([]byte, error){
		"no health check":      func() ([]byte, error) { return runtime.Kubernetes(bare, runtime.Options{}) },
		"a check, no probe":    func() ([]byte, error) { return runtime.Compose(bare, runtime.Options{Check: []string{":80"}}) },
		"a tag":                func() ([]byte, error) { return runtime.Compose(tagged, runtime.Options{}) },
		"a bad name":           func() ([]byte, error) { return runtime.Docker(img, runtime.Options{Name: "a b"}) },
		"too little memory":    func() ([]byte, error) { return runtime.Docker(img, runtime.Options{Memory: 1}) },
		"a relative directory": func() ([]byte, error) { return runtime.Docker(img, runtime.Options{Writable: []string{"tmp"}}) },
		"the root writable":    func() ([]byte, error) { return runtime.Docker(img, runtime.Options{Writable: []string{"/x/.."}}) },
		"no variable":          func() ([]byte, error) { return runtime.Docker(img, runtime.Options{Env: []string{"A B=1"}}) },
		"one role for both":    func() ([]byte, error) { return runtime.ECS(img, runtime.Options{TaskRole: "a", ExecutionRole: "a"}) },
		"a group, no region":   func() ([]byte, error) { return runtime.ECS(img, runtime.Options{LogGroup: "a"}) },
		"a quote in a rule":    func() ([]byte, error) { return runtime.Falco(img, runtime.Options{Decoys: []string{`/bin/"`}}) },
		"httpGet, no port":     func() ([]byte, error) { return runtime.Kubernetes(bare, runtime.Options{HTTPGet: "/"}) },
	} {
		if out, err := write(); err == nil {
			t.Errorf("%s is accepted:\n%s", name, out)
		}
	}
}

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/google/go-containerregistry/...": "images",
		"gopkg.in/yaml.v3":                           "Compose, Kubernetes, Falco",
	})
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
}
