package health

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/app/health/internal/debugmux"
)

// Detail is how much an answer discloses.
type Detail uint8

// The levels of detail.
const (
	Never Detail = iota // the state of the group alone
	Names               // names and states of checks, and what Public says
	Full                // the full text of errors
)

// Format is how an answer is written when the client has no preference.
type Format uint8

// The formats of Handler.
const (
	Docker     Format = iota // a JSON object of the failing checks
	HealthJSON               // application/health+json, draft-inadarei-api-health-check-06
	Text                     // as the health endpoints of Kubernetes' API server
)

type handlerSettings struct {
	detail   Detail
	auth     func(*http.Request) bool
	failCode int
	format   Format
}

// HandlerOption is a setting of Registry.Handler.
type HandlerOption func(*handlerSettings)

// Details sets what is disclosed to requests that auth approves; others get
// Never. A nil auth approves all. The default is Names for all.
func Details(d Detail, auth func(*http.Request) bool) HandlerOption {
	return func(s *handlerSettings) { s.detail, s.auth = min(d, Full), auth }
}

// FailCode sets the status code of a failing group instead of 503.
func FailCode(code int) HandlerOption { return func(s *handlerSettings) { s.failCode = code } }

// As sets the format instead of Docker.
func As(f Format) HandlerOption { return func(s *handlerSettings) { s.format = min(f, Text) } }

type handler struct {
	r *Registry
	g Group
	handlerSettings
}

// Handler answers GET and HEAD with the state of the group g: 200 when it
// passes or has warnings, else 503. A client chooses a format by its Accept
// header: application/health+json, application/json (docker's) or text/plain
// (that of Kubernetes); ?verbose is Kubernetes' long form, and ?exclude=NAME
// leaves a check out of this one answer.
func (r *Registry) Handler(g Group, opts ...HandlerOption) http.Handler {
	h := &handler{r: r, g: g & Any}
	h.detail, h.failCode = Names, http.StatusServiceUnavailable
	for _, o := range opts {
		o(&h.handlerSettings)
	}
	if h.failCode < 200 || h.failCode > 599 {
		h.failCode = http.StatusServiceUnavailable
	}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	head := w.Header()
	head["Cache-Control"], head["X-Content-Type-Options"] = noStore, noSniff
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed: use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	detail := h.detail
	if h.auth != nil && !h.auth(req) {
		detail = Never
	}
	r := h.r.or()
	format, verbose, exclude := h.negotiate(req, detail)
	if len(exclude) > 0 {
		r.refresh(req.Context(), h.slot())
		rep := h.report(r, detail, exclude)
		h.send(w, req, rep.state, kinds[format], newBody(rep.write(format, verbose)))
		return
	}
	v := r.view(req.Context(), h.slot())
	if format == Docker {
		h.send(w, req, v.state, typeDocker, v.docker(detail))
		return
	}
	long := h.long(r, v, format, verbose, detail)
	h.send(w, req, long.state, kinds[format], &long.body)
}

// long returns the view's report, from an earlier request if nothing came in
// since.
func (h *handler) long(r *Registry, v *view, f Format, verbose bool, d Detail) *written {
	slot := &v.reports[f][0][d]
	if verbose {
		slot = &v.reports[f][1][d]
	}
	runs := r.runs.Load()
	if old := slot.Load(); old != nil && old.runs == runs {
		return old
	}
	rep := h.report(r, d, nil)
	b := newBody(rep.write(f, verbose))
	now := &written{*b, runs, rep.state}
	slot.Store(now)
	return now
}

// slot is the group, and Any for a handler of no group: a mistake must not turn
// into an endpoint that is always healthy.
func (h *handler) slot() Group {
	if h.g == 0 {
		return Any
	}
	return h.g
}

func (h *handler) send(w http.ResponseWriter, req *http.Request, s State, kind []string, b *body) {
	head := w.Header()
	head["Content-Type"], head["Content-Length"] = kind, b.length
	code := http.StatusOK
	if s == Fail {
		code = h.failCode
	}
	w.WriteHeader(code)
	if req.Method != http.MethodHead {
		_, _ = w.Write(b.text) // the client is gone; there is nobody to tell
	}
}

// negotiate reads what the client asks for. Excluding is only for those who may
// know the names.
func (h *handler) negotiate(req *http.Request, d Detail) (f Format, verbose bool, exclude []string) {
	f = h.format
	if accept := req.Header["Accept"]; len(accept) > 0 {
		f = preferred(accept, f)
	}
	if req.URL == nil || req.URL.RawQuery == "" {
		return f, false, nil
	}
	q, _ := url.ParseQuery(req.URL.RawQuery) // what does not parse was not asked for
	if _, verbose = q["verbose"]; verbose {
		f = Text
	}
	if d > Never {
		exclude = q["exclude"]
	}
	return f, verbose, exclude
}

// preferred returns the format of the first media type that names one. Quality
// values are not weighed: a probe that sends several does not exist.
func preferred(accept []string, otherwise Format) Format {
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(item)
			if err != nil || params["q"] == "0" {
				continue
			}
			switch kind {
			case "application/health+json":
				return HealthJSON
			case "application/json":
				return Docker
			case "text/plain":
				return Text
			}
		}
	}
	return otherwise
}

// report is the long form of an answer, for the formats that list every check.
type report struct {
	name     string
	state    State
	draining string
	detail   Detail
	checks   []reported
	unknown  []string // excluded names that no check has
}

type reported struct {
	Named
	level    State
	public   string
	excluded bool
}

func (h *handler) report(r *Registry, d Detail, exclude []string) *report {
	g := h.slot()
	snap := r.snapshot(g)
	p := &report{name: endpoint(g), state: Pass, draining: snap.Draining, detail: d}
	if p.draining != "" {
		p.state = Fail
	}
	for _, n := range snap.Checks {
		c := reported{Named: n, excluded: slices.Contains(exclude, n.Name)}
		if k := r.find(n.Name); k != nil {
			c.public = k.public
		}
		c.level = (&Check{group: n.Groups, nonFatal: !n.Fatal}).weigh(n.State, g)
		if !c.excluded {
			p.state = max(p.state, c.level)
		}
		p.checks = append(p.checks, c)
	}
	for _, name := range exclude {
		if !slices.ContainsFunc(p.checks, func(c reported) bool { return c.Name == name }) {
			p.unknown = append(p.unknown, name)
		}
	}
	return p
}

// output returns what may be said about why the check is not passing.
func (p *report) output(c *reported) string {
	switch {
	case p.detail == Full:
		text := errorText(c.Err)
		if c.Cause != "" {
			text += " (caused by " + c.Cause + ")"
		}
		return text
	case c.public != "":
		return c.public
	}
	return withheld
}

func endpoint(g Group) string {
	switch g {
	case Live:
		return "livez"
	case Ready:
		return "readyz"
	case Startup:
		return "startupz"
	}
	return "healthz"
}

// Mux returns a handler of /livez, /readyz and /startupz for the three groups,
// /healthz for all of them, and /metrics.
func (r *Registry) Mux(opts ...HandlerOption) *http.ServeMux {
	mux := http.NewServeMux()
	for _, g := range []Group{Live, Ready, Startup, Any} {
		mux.Handle("/"+endpoint(g), r.Handler(g, opts...))
	}
	mux.Handle("/metrics", r.MetricsHandler())
	return mux
}

// debugHandler serves /debug/health.
type debugHandler struct{}

func (debugHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := debugmux.Override.Load(); h != nil {
		(*h)(w, r)
		return
	}
	StatusHandler(w, r)
}
