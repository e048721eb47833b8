package runtime

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	kjson "sigs.k8s.io/json"
)

// The tests below read what is written with the libraries of those who read
// it in the end.

// profiles are those that every form is tried with.
func profiles() map[string]Profile {
	change := func(f func(*Profile)) Profile {
		p := profile()
		f(&p)
		return p
	}
	return map[string]Profile{
		"whole": profile(),
		"bare":  change(func(p *Profile) { p.Port, p.Tmpfs = 0, nil }),
		"exec":  change(func(p *Profile) { p.Exec = true }),
		"istio": change(func(p *Profile) { p.Istio, p.Egress = true, []string{"10.0.0.0/8:5432", "[2001:db8::]/32:443"} }),
		"tls":   change(func(p *Profile) { p.TLS = TLS{Secret: "web-tls", ServerName: "web.example"} }),
		"arm64": change(func(p *Profile) { p.Platform, p.Single, p.Namespace = "linux/arm64", true, "shop" }),
		"ec2":   change(func(p *Profile) { p.EC2, p.Region, p.Platform = true, "eu-west-1", "linux/amd64" }),
	}
}

// TestKubernetesDecodesStrictlyAndIsAllowed reads every object with its own
// type, and asks Pod Security at the level that the namespace enforces.
func TestKubernetesDecodesStrictlyAndIsAllowed(t *testing.T) {
	for name, p := range profiles() {
		t.Run(name, func(t *testing.T) {
			files, err := Kubernetes(p)
			if err != nil {
				t.Fatal(err)
			}
			var d appsv1.Deployment
			var ns corev1.Namespace
			var account corev1.ServiceAccount
			var service corev1.Service
			var np networkingv1.NetworkPolicy
			into := map[string]any{"namespace.yaml": &ns, "serviceaccount.yaml": &account, "deployment.yaml": &d, "service.yaml": &service, "networkpolicy.yaml": &np}
			for _, f := range files {
				if o := into[f.Name]; o != nil {
					strictly(t, f, o)
				} else if f.Name != "peerauthentication.yaml" {
					t.Errorf("%s is not read back", f.Name)
				}
			}
			allowed(t, ns.Labels, d.Spec.Template)
			pod := d.Spec.Template
			if l := pod.Spec.Containers[0].Resources.Limits; l.Memory().Value() != 128<<20 || l.Cpu().MilliValue() != 500 {
				t.Errorf("limits %v", l)
			}
			for _, selector := range []map[string]string{d.Spec.Selector.MatchLabels, np.Spec.PodSelector.MatchLabels} {
				if !maps.Equal(selector, d.Labels) {
					t.Errorf("selector %v, and the pods have %v", selector, d.Labels)
				}
			}
			if pod.Spec.ServiceAccountName != account.Name || d.Namespace != ns.Name || account.Namespace != ns.Name || np.Namespace != ns.Name {
				t.Errorf("namespaces or account do not agree: %s", Documents(files))
			}
			if p.Port != 0 && (len(np.Spec.Ingress) != 1 || np.Spec.Ingress[0].Ports[0].Port.IntValue() != p.Port || service.Spec.Ports[0].TargetPort.StrVal != pod.Spec.Containers[0].Ports[0].Name) {
				t.Errorf("the port does not agree: %s", Documents(files))
			}
			if p.Port == 0 && (len(np.Spec.Ingress) != 0 || service.Name != "") {
				t.Errorf("something is let in to what does not listen: %s", Documents(files))
			}
			if want := min(1, len(p.Egress)) * (2 + len(p.Egress)); len(np.Spec.Egress) != want {
				t.Errorf("%d rules of egress, want %d", len(np.Spec.Egress), want)
			}
			if probes := pod.Spec.Containers[0]; (p.Exec || p.Istio) && (probes.LivenessProbe.TCPSocket != nil || probes.LivenessProbe.Exec == nil) {
				t.Error("under strict mTLS the node asks over the network")
			}
		})
	}
}

func strictly(t *testing.T, f File, into any) {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(f.Data, &v); err != nil {
		t.Fatalf("%v\n%s", err, f.Data)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if faults, err := kjson.UnmarshalStrict(text, into); err != nil || len(faults) > 0 {
		t.Fatalf("%s: %v %v\n%s", f.Name, err, faults, f.Data)
	}
}

// allowed asks Pod Security as its admission does.
func allowed(t *testing.T, labels map[string]string, pod corev1.PodTemplateSpec) {
	t.Helper()
	level, faults := api.PolicyToEvaluate(labels, api.Policy{})
	if len(faults) > 0 || level.Enforce.Level != api.LevelRestricted || level.Warn.Level != api.LevelRestricted {
		t.Fatalf("the namespace enforces %v, %v", level, faults)
	}
	eval, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	results := eval.EvaluatePod(level.Enforce, &pod.ObjectMeta, &pod.Spec)
	if len(results) < 10 {
		t.Errorf("only %d checks ran", len(results))
	}
	for _, r := range results {
		if !r.Allowed {
			t.Errorf("%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
}

func TestComposeLoads(t *testing.T) {
	p := profile()
	data, err := Compose(p)
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: t.TempDir(), ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: data}}, Environment: types.Mapping{"PORT": "wrong"},
	}, func(o *loader.Options) { o.SetProjectName("test", true) })
	if err != nil {
		t.Fatal(err)
	}
	s := project.Services["web"]
	if !s.ReadOnly || s.User != "65532:65532" || int64(s.MemLimit) != 128<<20 || s.CPUS != 0.5 || s.PidsLimit != 64 || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("%+v", s)
	}
	// A variable is the probe's to expand, not Compose's.
	if diff := cmp.Diff(append([]string{"CMD"}, p.Check...), []string(s.HealthCheck.Test)); diff != "" {
		t.Error(diff)
	}
}

func TestECSDecodesStrictly(t *testing.T) {
	for name, p := range profiles() {
		t.Run(name, func(t *testing.T) {
			data, err := ECS(p)
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
			if c.LogConfiguration == nil || c.LogConfiguration.LogDriver != "awslogs" || c.LogConfiguration.Options["awslogs-group"] != "/ecs/web" {
				t.Errorf("log %+v", c.LogConfiguration)
			}
			if p.Platform != "" && string(in.RuntimePlatform.CpuArchitecture) != platforms[p.Platform].ecs {
				t.Errorf("platform %+v", in.RuntimePlatform)
			}
			if p.EC2 {
				if len(c.DockerSecurityOptions) != 1 || len(c.LinuxParameters.Tmpfs) != 1 || *c.LinuxParameters.MaxSwap != 0 || len(in.Volumes) != 0 || in.RequiresCompatibilities[0] != "EC2" {
					t.Errorf("%s", data)
				}
				return
			}
			if c.DockerSecurityOptions != nil || c.LinuxParameters.Tmpfs != nil || c.LinuxParameters.MaxSwap != nil || c.Privileged != nil {
				t.Error("Fargate refuses security options, tmpfs, swap and privileged")
			}
		})
	}
}

func TestFargateSizes(t *testing.T) {
	for _, c := range []struct {
		cpu, memory int
		units, size string
	}{
		{250, 128, "256", "512"}, {500, 128, "512", "1024"}, {250, 513, "256", "1024"}, {250, 3072, "512", "3072"}, {600, 128, "1024", "2048"},
		{4000, 9 << 10, "4096", "9216"}, {8000, 17 << 10, "8192", "20480"}, {16000, 33 << 10, "16384", "40960"},
	} {
		p := profile()
		p.MilliCPU, p.MemoryMiB = c.cpu, c.memory
		data, err := ECS(p)
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
	p := profile()
	p.MemoryMiB = 200 << 10
	if _, err := ECS(p); err == nil {
		t.Error("200 GiB fit on Fargate")
	}
}

func TestFormatTrace(t *testing.T) {
	for goarch, calls := range map[string][]int{"amd64": {1, 0, 1023}, "arm64": {64, 63, 1023}} {
		data, err := FormatTrace(goarch, calls)
		if err != nil {
			t.Fatal(err)
		}
		names, err := Observe(bytes.NewReader(data), "")
		if err != nil || strings.Join(names, " ") != "read write" {
			t.Errorf("%s: %v %v", goarch, names, err)
		}
	}
	if _, err := FormatTrace("mips", []int{1}); err == nil {
		t.Error("mips has names")
	}
}
