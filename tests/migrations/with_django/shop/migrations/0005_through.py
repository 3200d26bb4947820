"""The model now reads the new table; the old one stays until nobody needs it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_columns")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("order", "products"),
                migrations.AddField(
                    "order", "products", models.ManyToManyField(to="shop.product", through="shop.Line")
                ),
                migrations.AlterField(
                    "line", "product", models.ForeignKey(to="shop.product", on_delete=models.PROTECT)
                ),
            ]
        )
    ]
