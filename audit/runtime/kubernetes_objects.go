package runtime

import "fmt"

// object is a profile and what follows of it. Its methods write one file each,
// without text/template, which would make the linker keep every method of
// every type of Kubernetes.
type object struct {
	Profile
	uid, gid int
	peers    []peer
}

// peer is a destination in a NetworkPolicy.
type peer struct {
	cidr string
	port int
}

// lines builds a file of YAML.
type lines []byte

func (l *lines) add(format string, args ...any) { *l = fmt.Appendf(*l, format+"\n", args...) }

// head begins a namespaced object of the application.
func (o object) head(version, kind string) lines {
	var l lines
	l.add("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  namespace: %s", version, kind, o.Name, o.Namespace)
	return l
}

func (o object) labelled(version, kind string) lines {
	l := o.head(version, kind)
	l.add("  labels: {app.kubernetes.io/name: %s}", o.Name)
	return l
}

func (o object) namespace() File {
	var l lines
	l.add(`apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/enforce-version: latest
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted`, o.Namespace)
	return File{"namespace.yaml", l}
}

func (o object) account() File {
	l := o.labelled("v1", "ServiceAccount")
	l.add("automountServiceAccountToken: false")
	return File{"serviceaccount.yaml", l}
}

func (o object) deployment() File {
	l := o.labelled("apps/v1", "Deployment")
	l.add(`spec:
  selector: {matchLabels: {app.kubernetes.io/name: %s}}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: %[1]s`, o.Name)
	if o.Istio {
		l.add(`        sidecar.istio.io/inject: "true"`)
	}
	l.add(`    spec:
      serviceAccountName: %s
      automountServiceAccountToken: false
      enableServiceLinks: false`, o.Name)
	if o.Single {
		l.add("      nodeSelector: {kubernetes.io/os: linux, kubernetes.io/arch: %s}", platforms[o.Platform].goarch)
	}
	l.add(`      securityContext:
        runAsNonRoot: true
        runAsUser: %d
        runAsGroup: %d
        fsGroup: %[2]d
        seccompProfile: {type: RuntimeDefault}`, o.uid, o.gid)
	o.container(&l)
	o.volumes(&l)
	return File{"deployment.yaml", l}
}

func (o object) container(l *lines) {
	l.add(`      containers:
        - name: %s
          image: %s
          securityContext:
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          resources:
            requests: {cpu: %dm, memory: %dMi}
            limits: {cpu: %dm, memory: %dMi, ephemeral-storage: 64Mi}
          env: [{name: GOMEMLIMIT, value: %s}]`,
		o.Name, o.Reference, max(1, o.MilliCPU/5), max(1, o.MemoryMiB/2), o.MilliCPU, o.MemoryMiB, o.goMemory())
	check := "exec: {command: " + quoted(o.Check) + "}"
	liveness := check
	if o.Port != 0 {
		l.add("          ports: [{name: app, containerPort: %d}]", o.Port)
		if !o.Exec {
			liveness = fmt.Sprintf("tcpSocket: {port: %d}", o.Port)
		}
	}
	l.add("          startupProbe: {%s, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 30}", check)
	l.add("          livenessProbe: {%s, periodSeconds: 10, timeoutSeconds: 5}", liveness)
	l.add("          readinessProbe: {%s, periodSeconds: 5, timeoutSeconds: 5}", check)
}

func (o object) volumes(l *lines) {
	if len(o.Tmpfs) == 0 && o.TLS.Secret == "" {
		return
	}
	l.add("          volumeMounts:")
	for i, dir := range o.Tmpfs {
		l.add("            - {name: tmp-%d, mountPath: %s}", i, dir)
	}
	if o.TLS.Secret != "" {
		l.add("            - {name: tls, mountPath: /etc/tls, readOnly: true}")
	}
	l.add("      volumes:")
	for i := range o.Tmpfs {
		l.add("        - name: tmp-%d\n          emptyDir: {medium: Memory, sizeLimit: 16Mi}", i)
	}
	if o.TLS.Secret != "" {
		l.add("        - name: tls\n          secret: {secretName: %s, defaultMode: 288} # 0440", o.TLS.Secret)
	}
}

func (o object) service() File {
	l := o.labelled("v1", "Service")
	l.add("spec:\n  selector: {app.kubernetes.io/name: %s}\n  ports: [{name: app, port: %d, targetPort: app}]", o.Name, o.Port)
	return File{"service.yaml", l}
}

func (o object) networkPolicy() File {
	l := o.labelled("networking.k8s.io/v1", "NetworkPolicy")
	egress := ""
	if len(o.peers) > 0 {
		egress = ", Egress"
	}
	l.add("spec:\n  podSelector: {matchLabels: {app.kubernetes.io/name: %s}}\n  policyTypes: [Ingress%s]", o.Name, egress)
	if o.Port != 0 {
		l.add("  ingress:\n    - ports: [{protocol: TCP, port: %d}]", o.Port)
	}
	if len(o.peers) > 0 {
		o.egress(&l)
	}
	return File{"networkpolicy.yaml", l}
}

func (o object) egress(l *lines) {
	l.add(`  egress:
    - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
      ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]`)
	if o.Istio {
		l.add(`    - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: istio-system}}}]
      ports: [{protocol: TCP, port: 15012}]`)
	}
	for _, p := range o.peers {
		l.add("    - to: [{ipBlock: {cidr: %q}}]\n      ports: [{protocol: TCP, port: %d}]", p.cidr, p.port)
	}
}

func (o object) peerAuthentication() File {
	l := o.head("security.istio.io/v1", "PeerAuthentication")
	l.add("spec:\n  selector: {matchLabels: {app.kubernetes.io/name: %s}}\n  mtls: {mode: STRICT}", o.Name)
	return File{"peerauthentication.yaml", l}
}
