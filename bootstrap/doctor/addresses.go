package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
)

// checkRelyingParty asks what the settings cannot tell by themselves: what browsers make of that RP id there.
func (e *checks) checkRelyingParty(context.Context) {
	id, host := e.config.RPID, config.HostOf(e.config.PublicURL)
	switch {
	case !config.IsSameOrSubdomain(host, id):
		e.AddError("rp_id", fmt.Sprintf("the page at %s cannot use passkeys of %s: it is not on that domain or below it", e.config.PublicURL, id),
			"set KEYLODGE_RP_ID to "+host+" or a parent domain of it; if there are passkeys already, move KEYLODGE_PUBLIC_URL instead")
	case id != host:
		e.AddOK("rp_id", fmt.Sprintf("%s: every page on it or below it, and not only %s, may ask for these passkeys", id, host))
	default:
		e.AddOK("rp_id", id+", the host of the public address")
	}
	if config.IsLocalhost(host) {
		if !isLocal(e.config.Listen) {
			e.AddWarning("public_url", e.config.PublicURL+" is this machine itself, and the server listens for others, whose browsers will refuse",
				"set KEYLODGE_PUBLIC_URL to the https address that people see, or KEYLODGE_LISTEN to 127.0.0.1")
			return
		}
		e.AddOK("public_url", e.config.PublicURL+", for people at this machine")
		return
	}
	e.AddOK("public_url", e.config.PublicURL)
}

func (e *checks) checkOrigins(context.Context) {
	related, labels := e.config.RelatedOrigins(), e.config.RelatedLabels()
	switch {
	case len(labels) > config.MaxRelatedLabels:
		e.AddError("origins", fmt.Sprintf("of %d other names in KEYLODGE_ORIGINS browsers take %d", len(labels), config.MaxRelatedLabels), "leave the others out, or give them a Keylodge of their own")
	case len(related) > 0:
		e.AddWarning("origins", fmt.Sprintf("%s: not on %s or below it, so only browsers that know related origins let them use its passkeys", strings.Join(related, ", "), e.config.RPID),
			"nothing, if that is meant: https://"+e.config.RPID+"/.well-known/webauthn lists them")
	default:
		e.AddOK("origins", strings.Join(e.config.Origins, ", "))
	}
	if len(e.config.AppOrigins) > 0 {
		e.AddOK("app_origins", strings.Join(e.config.AppOrigins, ", ")+" call the API with tokens")
	}
}

// isLocal reports whether only this machine reaches who listens on an address.
func isLocal(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && (config.IsLocalhost(host) || config.IsLoopback(host))
}

func (e *checks) checkListeners(ctx context.Context) {
	e.checkListener(ctx, "listen", "KEYLODGE_LISTEN", e.config.Listen, e.requireThisServer)
	if e.config.OpsListen == "" {
		e.AddOK("ops_listen", "health and metrics are turned off")
		return
	}
	e.checkListener(ctx, "ops_listen", "KEYLODGE_OPS_LISTEN", e.config.OpsListen, requireReady)
	if !isLocal(e.config.OpsListen) {
		e.AddWarning("ops_listen", "health and metrics can be read by whoever reaches "+e.config.OpsListen, "let a firewall keep the public away, or set KEYLODGE_OPS_LISTEN to 127.0.0.1:9090")
	}
}

// checkListener finds out whether an address is free, or served by whom it should be.
func (e *checks) checkListener(ctx context.Context, check, setting, address string, asked func(ctx context.Context, address string) error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		_ = listener.Close()
		e.AddOK(check, address+" is free; no server runs there")
		return
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		e.AddError(check, err.Error(), config.ListenFix(setting, err))
		return
	}
	if err := asked(ctx, dialAddress(address)); err != nil {
		e.AddError(check, address+" is taken, and not by a server with these settings that is ready: "+err.Error(), "stop what listens there, or set "+setting+" to another address; if it is the server, its log says why")
		return
	}
	e.AddOK(check, "the server answers on "+address)
}

// dialAddress is where a client on this machine reaches who listens on an address.
func dialAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

func (e *checks) requireThisServer(ctx context.Context, address string) error {
	var said struct {
		RPID string `json:"rp_id"`
	}
	if err := fetchJSON(ctx, "http://"+address+"/v1/config", &said); err != nil {
		return err
	}
	if said.RPID != e.config.RPID {
		return fmt.Errorf("who answers there is for the RP id %q", said.RPID)
	}
	return nil
}

func requireReady(ctx context.Context, address string) error {
	var said struct {
		Status string `json:"status"`
	}
	if err := fetchJSON(ctx, "http://"+address+"/readyz", &said); err != nil {
		return err
	}
	if said.Status != "ready" {
		return errors.New("it says something else than that it is ready")
	}
	return nil
}

// fetchJSON gets a small JSON document from this machine: by no proxy, and from nowhere that it is sent on to.
func fetchJSON(ctx context.Context, address string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(answer); err != nil {
		return fmt.Errorf("%s does not answer as Keylodge does", address)
	}
	return nil
}

func (e *checks) checkProxies(context.Context) {
	everybody := func(network netip.Prefix) bool { return network.Bits() == 0 }
	wide := func(network netip.Prefix) bool {
		return !network.Addr().IsPrivate() && !network.Addr().IsLoopback() && network.Bits() < network.Addr().BitLen()/2
	}
	behindProxy := strings.HasPrefix(e.config.PublicURL, "https:")
	switch proxies := e.config.TrustedProxies; {
	case slices.ContainsFunc(proxies, everybody):
		e.AddWarning("proxies", "everybody is trusted to say whose address a request comes from, so everybody can say any", "name the proxy's own address in KEYLODGE_TRUSTED_PROXIES")
	case slices.ContainsFunc(proxies, wide):
		e.AddWarning("proxies", fmt.Sprintf("%v: strangers' addresses may be among them, and theirs is then believed to be whatever they say", proxies), "name the proxy's own address in KEYLODGE_TRUSTED_PROXIES")
	case behindProxy && len(proxies) == 0 && isLocal(e.config.Listen):
		e.AddWarning("proxies", "the proxy that gives the https address is not trusted, so every visitor has its address", "set KEYLODGE_TRUSTED_PROXIES=127.0.0.1,::1 if it runs on this machine")
	case behindProxy && len(proxies) == 0:
		e.AddWarning("proxies", "this server does not speak https, so something stands before it, and that is not trusted: every visitor has its address",
			"name it in KEYLODGE_TRUSTED_PROXIES, and let nobody reach "+e.config.Listen+" around it")
	case !behindProxy && len(proxies) == 0:
		e.AddOK("proxies", "none; the server is asked directly")
	default:
		e.AddOK("proxies", fmt.Sprintf("%v; let nobody reach %s around them", proxies, e.config.Listen))
	}
}
