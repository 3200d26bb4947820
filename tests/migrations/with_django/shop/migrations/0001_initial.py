from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            "Tag",
            [
                ("id", models.BigAutoField(primary_key=True, auto_created=True, serialize=False, verbose_name="ID")),
                ("word", models.SlugField(unique=True)),
            ],
        ),
        migrations.CreateModel(
            "Customer",
            [
                ("id", models.BigAutoField(primary_key=True, auto_created=True, serialize=False, verbose_name="ID")),
                ("user", models.OneToOneField(to=settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)),
                ("name", models.CharField(max_length=60)),
                ("email", models.EmailField()),
                ("note", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            "Product",
            [
                ("id", models.BigAutoField(primary_key=True, auto_created=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=80, db_index=True)),
                ("price", models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(primary_key=True, auto_created=True, serialize=False, verbose_name="ID")),
                ("customer", models.ForeignKey(to="shop.customer", on_delete=models.CASCADE, related_name="orders")),
                ("placed_at", models.DateTimeField()),
                ("products", models.ManyToManyField(to="shop.product")),
            ],
        ),
        migrations.AddIndex("order", models.Index(fields=["customer", "placed_at"], name="orders_of_customer")),
    ]
