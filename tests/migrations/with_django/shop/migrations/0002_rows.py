"""Rows, so that main has some."""

from datetime import UTC, datetime

from django.db import migrations


def fill(apps, schema_editor):
    customer, product, order = (apps.get_model("shop", name) for name in ("Customer", "Product", "Order"))
    people = [customer.objects.create(name=f"c{n}", email=f"C{n}@example.org", note=f"n{n}") for n in range(5)]
    things = [product.objects.create(title=f"p{n}", price=100 * n) for n in range(5)]
    for n, person in enumerate(people):
        placed = order.objects.create(customer=person, placed_at=datetime(2026, 1, 1 + n, tzinfo=UTC))
        placed.products.set(things[n:])


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
