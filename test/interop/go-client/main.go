// Command client is a workload written with go-spiffe: it takes its SVID from a Workload API and asks for a page through an HTTPS proxy with it.
// Arguments: address of the Workload API, URL of the proxy, SPIFFE ID that the proxy must have, URL of the page.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	api, err := workloadapi.New(ctx, workloadapi.WithAddr(os.Args[1]))
	check(err)
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClient(api))
	check(err)
	svid, err := source.GetX509SVID()
	check(err)
	token, err := api.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "here"})
	check(err)
	valid, err := api.ValidateJWTSVID(ctx, token.Marshal(), "here")
	check(err)
	proxy, err := url.Parse(os.Args[2])
	check(err)
	client := http.Client{Transport: &http.Transport{
		Proxy:           func(*http.Request) (*url.URL, error) { return proxy, nil },
		TLSClientConfig: tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(spiffeid.RequireFromString(os.Args[3]))),
	}}
	answer, err := client.Get(os.Args[4])
	check(err)
	body, err := io.ReadAll(answer.Body)
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"id": svid.ID.String(), "hint": svid.Hint, "serial": svid.Certificates[0].SerialNumber.Text(16),
		"subject": valid.ID.String(), "claims": valid.Claims, "status": answer.StatusCode, "body": string(body),
	}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
