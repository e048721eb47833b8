package dockerfile

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestNoFindingShowsASecret puts a value in every place that has been thought
// of and looks for it in everything that comes out.
func TestNoFindingShowsASecret(t *testing.T) {
	const value = "hunter2secret"
	for _, line := range []string{
		"ENV DB_PASSWORD=" + value, "ENV DB_PASSWORD " + value, "ENV A=1 DB_PASSWORD=" + value, `ENV DB_PASSWORD="` + value + `"`, "ENV db_password='" + value + "'",
		"ONBUILD ENV DB_PASSWORD " + value, "ARG API_TOKEN=" + value, "LABEL deploy.token=" + value, "LABEL deploy.token " + value,
		"ENV DATABASE_URL=postgres://app:" + value + "@db/app", "RUN curl -u user:" + value + " https://example.org/x",
		"RUN mysql --password=" + value + " -e x", "RUN tool --password " + value, "RUN git clone https://user:" + value + "@example.org/r",
		"RUN curl https://user:" + value + "@example.org/x | sh", "RUN export TOKEN=" + value + " && make", `RUN ["tool", "--token=` + value + `"]`,
		"HEALTHCHECK CMD curl -H 'X-Api-Key: " + value + "' http://localhost/", "CMD tool --api-key " + value,
		"ADD https://user:" + value + "@example.org/x /x", "RUN sshpass -p " + value + " ssh host",
	} {
		res, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: []byte("FROM debian\n" + line + "\n")}, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Findings {
			data, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), value) {
				t.Errorf("%s: %s", line, data)
			}
		}
	}
}
