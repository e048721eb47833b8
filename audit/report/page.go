package report

import (
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/hardstand/hardstand/audit"
)

// node is the whole page. It is built by functions and not by html/template,
// which would make the linker keep every method of every type.
func (p *htmlPage) node() g.Node {
	csp := "default-src 'none'; style-src " + hashSource(pageCSS) + "; script-src " + hashSource(pageJS) + "; base-uri 'none'; form-action 'none'"
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(g.Attr("http-equiv", "Content-Security-Policy"), h.Content(csp)),
			h.Meta(h.Name("referrer"), h.Content("no-referrer")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.TitleEl(g.Text("Container hardening audit")),
			h.StyleEl(g.Raw(pageCSS)),
		),
		line(h.Body(
			p.header(),
			line(h.Section(h.Class("stages"), h.Aria("label", "Score by stage"), g.Map(p.report.Stages, stage))),
			line(h.Section(h.Aria("label", "Findings"),
				h.H2(g.Text("Findings")),
				p.filters(),
				h.P(h.ID("shown"), h.Role("status")),
				h.Div(h.ID("list"), g.Map(p.findings, htmlFinding.node)),
			)),
			p.notes(),
			h.Script(g.Raw(pageJS)),
		)),
	))
}

// line puts an end of line before a node, for who reads the source.
func line(n g.Node) g.Node { return g.Group{g.Text("\n"), n} }

func (p *htmlPage) header() g.Node {
	r := p.report
	return h.Header(
		h.H1(g.Text("Container hardening audit")),
		h.P(h.Class("meta"),
			g.Textf("%d artefacts, rule set %d, hardstand %s, ", len(r.Artifacts), r.RuleSet, r.Tool.Version),
			h.Time(h.DateTime(r.Time.Format(time.RFC3339)), g.Text(r.Time.Format("2006-01-02 15:04")+" UTC")),
		),
	)
}

func stage(s audit.StageScore) g.Node {
	percent, value := s.Percent(), max(0, s.Percent())
	score := g.Text("–")
	if percent >= 0 {
		score = g.Textf("%d\u202f%%", percent)
	}
	return line(h.Article(h.Class("stage"),
		h.H2(g.Textf("Stage %s ", s.Stage), h.Span(g.Text(s.Title))),
		h.P(h.Class("score"), score),
		h.Meter(h.Min("0"), h.Max("100"), g.Attr("low", "50"), g.Attr("high", "99"), g.Attr("optimum", "100"),
			h.Value(strconv.Itoa(value)), g.Textf("%d %%", percent)),
		h.Ol(g.Map(s.Steps, func(s audit.StepScore) g.Node {
			return line(h.Li(h.Class("v-"+class(s.Verdict)),
				h.B(g.Text(s.Step)), g.Text(" "+s.Title+" "), h.Em(g.Text(string(s.Verdict))),
				g.If(s.Needs != "", h.Small(g.Text("needs "+visible(s.Needs, false))))))
		})),
	))
}

func (p *htmlPage) filters() g.Node {
	counts := g.Group{h.Legend(g.Text("Verdict"))}
	for _, v := range []audit.Verdict{audit.Fail, audit.Warn, audit.Unknown, audit.Pass, audit.NotApplicable} {
		counts = append(counts, box(v, p.report.Summary[v], v != audit.Pass && v != audit.NotApplicable))
	}
	counts = append(counts, box("waived", p.report.Waived, false))
	stages, artifacts := g.Group{option("", "all")}, g.Group{option("", "all")}
	for _, s := range p.report.Stages {
		stages = append(stages, option(s.Stage, s.Stage+" "+s.Title))
	}
	for i, name := range p.names {
		artifacts = append(artifacts, option(strconv.Itoa(i), name))
	}
	return line(h.Form(h.Class("filters"), h.ID("filters"),
		line(h.FieldSet(counts)),
		line(h.Label(h.Class("pick"), g.Text("Stage "), h.Select(h.ID("stage"), stages))),
		line(h.Label(h.Class("pick"), g.Text("Artefact "), h.Select(h.ID("artifact"), artifacts))),
		line(h.Label(h.Class("pick wide"), g.Text("Search "), h.Input(h.Type("search"), h.ID("search"), h.AutoComplete("off"), g.Attr("spellcheck", "false")))),
	))
}

func box(v audit.Verdict, count int, on bool) g.Node {
	return line(h.Label(h.Class("v-"+class(v)),
		h.Input(h.Type("checkbox"), h.Name("verdict"), h.Value(class(v)), g.If(on, h.Checked())),
		g.Text(" "+string(v)+" "), h.Span(g.Text(strconv.Itoa(count)))))
}

func option(value, text string) g.Node { return h.Option(h.Value(value), g.Text(text)) }

func (f htmlFinding) node() g.Node {
	badge := string(f.finding.Verdict)
	if f.finding.Waiver != nil {
		badge = "waived"
	}
	return line(h.Details(h.Class("finding v-"+f.class),
		h.Data("verdict", f.class), h.Data("stage", f.stage), h.Data("artifact", strconv.Itoa(f.artifact)), g.If(f.open, g.Attr("open")),
		h.Summary(
			h.Span(h.Class("badge"), g.Text(badge)), h.Span(h.Class("rule"), g.Text(f.finding.Rule)),
			h.Span(h.Class("title"), g.Text(f.title)), h.Span(h.Class("where"), g.Text(f.where))),
		line(h.Dl(
			row("Observed", f.observed), row("Expected", f.expected), row("Needs", f.needs), row("Why not", f.reason),
			row("Line", f.excerpt, code), row("Fix", f.fix, pre), row("How checked", f.method), row("Waiver", f.waiver),
			row("Severity", string(f.finding.Severity)), row("SHA-256", f.finding.Artifact.SHA256, hash), row("Why", f.why))),
	))
}

func code(n g.Node) g.Node { return h.Code(n) }
func hash(n g.Node) g.Node { return h.Code(h.Class("hash"), n) }
func pre(n g.Node) g.Node  { return h.Pre(n) }

// row is a term and what is said of it, or nothing.
func row(term, text string, inside ...func(g.Node) g.Node) g.Node {
	if text == "" {
		return nil
	}
	n := g.Text(text)
	for _, f := range inside {
		n = f(n)
	}
	return line(g.Group{h.Dt(g.Text(term)), h.Dd(n)})
}

func (p *htmlPage) notes() g.Node {
	if len(p.report.Notes) == 0 {
		return nil
	}
	return line(h.Section(h.Aria("label", "Notes"), h.H2(g.Text("Notes")), h.Ul(h.Class("notes"), g.Map(p.report.Notes, func(n string) g.Node {
		return h.Li(g.Text(visible(n, false)))
	}))))
}
