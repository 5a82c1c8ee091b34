package demo

import "fmt"

// cast is who plays for a tenant: which VMs its checks run between.
type cast struct {
	tenant  string
	client  *vm // on the first host
	near    *vm // same subnet, other host; the other tenants have its address too
	far     *vm // other subnet, other host
	foreign *vm // of another tenant, at an address that this tenant does not have; nil when there is none
}

// casting picks the cast of every tenant, and complains about samples that cannot show what the demo is for.
func (p *plan) casting() ([]cast, error) {
	casts := make([]cast, 0, len(p.tenants))
	foreign := false
	for _, tenant := range p.tenants {
		c, err := p.cast(tenant)
		if err != nil {
			return nil, err
		}
		foreign = foreign || c.foreign != nil
		casts = append(casts, c)
	}
	if len(casts) < 2 || !foreign {
		return nil, fmt.Errorf("sample configurations: the demo needs two tenants, one of them with an address that another does not have")
	}
	return casts, nil
}

func (p *plan) cast(tenant string) (cast, error) {
	c := cast{tenant: tenant}
	for _, client := range p.of(tenant, 0) {
		c.client, c.near, c.far = client, nil, nil
		for _, server := range p.of(tenant, 1) {
			switch {
			case server.Subnet != client.Subnet && c.far == nil:
				c.far = server
			case server.Subnet == client.Subnet && c.near == nil && p.shared(server):
				c.near = server
			}
		}
		if c.near != nil && c.far != nil {
			break
		}
	}
	if c.near == nil || c.far == nil {
		return c, fmt.Errorf("sample configurations: tenant %s needs a VM on the first host, and on the second one VM in the same subnet, at an address that the other tenants have too, and one VM in another subnet", tenant)
	}
	for _, v := range p.vms {
		if v.Tenant != tenant && v.Host == 1 && p.at(tenant, v) == nil {
			c.foreign = v
			break
		}
	}
	return c, nil
}

// of lists a tenant's VMs on a host.
func (p *plan) of(tenant string, host int) []*vm {
	var vms []*vm
	for _, v := range p.vms {
		if v.Tenant == tenant && v.Host == host {
			vms = append(vms, v)
		}
	}
	return vms
}

// shared reports whether every tenant has a VM at this VM's address.
func (p *plan) shared(v *vm) bool {
	for _, tenant := range p.tenants {
		if p.at(tenant, v) == nil {
			return false
		}
	}
	return true
}

// at finds a tenant's VM at the address of v.
func (p *plan) at(tenant string, v *vm) *vm {
	for _, other := range p.vms {
		if other.Tenant == tenant && other.CA == v.CA {
			return other
		}
	}
	return nil
}
